//! Windows over images.

use super::kernels;

kernels! {
    pool: Pool(WindowParams);
    pool_gradient: PoolGradient(WindowParams);
    window;
}
