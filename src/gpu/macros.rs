//! Texts and uniforms of kernels: this crate's own, and those of others.

/// Concatenates files under this crate's `shaders/`; the kernel comes last.
///
/// WGSL declarations may be used before they appear, so concatenation is all the module system
/// that a folder of kernels needs.
macro_rules! wgsl {
    ($($file:literal),+ $(,)?) => {
        concat!($(
            "// file: ", $file, "\n",
            include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $file)), "\n"
        ),+)
    };
}
pub(crate) use wgsl;

/// Declares the uniform of this crate's kernels. The lists in `kernels` say whose it is.
macro_rules! uniform {
    ($($declaration:tt)+) => { $crate::__layout! { $($declaration)+ } };
}
pub(crate) use uniform;

/// The struct of a uniform. The derived traits find their crate through `gpu`, so a caller needs no
/// dependency of its own.
#[doc(hidden)]
#[macro_export]
macro_rules! __layout {
    ($(#[$meta:meta])* $vis:vis struct $name:ident {
        $($(#[$field_meta:meta])* $field:ident: $ty:ty),+ $(,)?
    }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        #[derive($crate::gpu::bytemuck::Pod, $crate::gpu::bytemuck::Zeroable)]
        #[bytemuck(crate = "::secateur::gpu::bytemuck")]
        $vis struct $name { $($(#[$field_meta])* pub $field: $ty),+ }

        impl $name {
            /// `(name, byte offset)` of every field.
            pub const LAYOUT: &'static [(&'static str, usize)] =
                &[$((stringify!($field), ::std::mem::offset_of!($name, $field))),+];
        }
    };
}

/// Declares a `repr(C)` struct that the WGSL of a kernel reads as its uniform, with its layout as
/// `(name, byte offset)`.
///
/// Fields are numbers of 32 bits and arrays of such, in the order of the WGSL's struct; padding is
/// a field of its own. The dependency on this crate must be called `secateur`.
///
/// ```
/// secateur::raw::uniform! {
///     /// Uniform of a clip.
///     pub struct ClipParams {
///         /// Elements.
///         len: u32,
///         /// Largest value.
///         limit: f32,
///     }
/// }
/// assert_eq!(ClipParams::LAYOUT, [("len", 0), ("limit", 4)]);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __uniform {
    ($(#[$meta:meta])* $vis:vis struct $name:ident { $($fields:tt)+ }) => {
        $crate::__layout! { $(#[$meta])* $vis struct $name { $($fields)+ } }

        impl<K: ?Sized> $crate::gpu::Uniform<K> for $name {}
    };
}

/// Puts constant texts together, a line break after each: what is in
/// [`common`](crate::raw::common), and one's own files by `include_str!`, which are found from the
/// file that the macro is called in. The order does not matter to WGSL.
///
/// ```
/// use secateur::raw::{common, wgsl};
///
/// const WGSL: &str = wgsl!(common::GRID, "@compute @workgroup_size(256) fn main() {}");
/// assert!(WGSL.contains("fn flat_index") && WGSL.ends_with("fn main() {}\n"));
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __wgsl {
    ($($text:expr),+ $(,)?) => {{
        const TEXTS: &[&str] = &[$($text),+];
        const BYTES: [u8; $crate::gpu::joined_len(TEXTS)] = $crate::gpu::joined(TEXTS);
        match ::std::str::from_utf8(&BYTES) {
            Ok(text) => text,
            Err(_) => unreachable!(),
        }
    }};
}

/// Bytes of `texts` with a line break after each.
#[doc(hidden)]
pub const fn joined_len(texts: &[&str]) -> usize {
    let (mut len, mut text) = (0, 0);
    while text < texts.len() {
        len += texts[text].len() + 1;
        text += 1;
    }
    len
}

/// `texts` with a line break after each.
#[doc(hidden)]
pub const fn joined<const LEN: usize>(texts: &[&str]) -> [u8; LEN] {
    let mut bytes = [b'\n'; LEN];
    let (mut at, mut text) = (0, 0);
    while text < texts.len() {
        let (from, mut i) = (texts[text].as_bytes(), 0);
        while i < from.len() {
            bytes[at + i] = from[i];
            i += 1;
        }
        at += from.len() + 1;
        text += 1;
    }
    bytes
}
