//! Builders of structs that may grow.
/// A struct whose fields may become more: `#[non_exhaustive]`, with a step of a builder for each
/// field. After `const` the steps are constant functions, for fields that are `Copy`.
macro_rules! steps {
    (const $($rest:tt)*) => { crate::settings::steps! { @ [const] $($rest)* } };
    (
        @ $const:tt
        $(#[$meta:meta])*
        pub struct $of:ident $(<$life:lifetime>)? {
            $($(#[$field_meta:meta])* pub $name:ident: $type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[non_exhaustive]
        pub struct $of $(<$life>)? {
            $($(#[$field_meta])* pub $name: $type,)*
        }

        /// Each field as a step of a builder.
        impl $(<$life>)? $of $(<$life>)? {
            $(crate::settings::steps! { @fn $const $name: $type })*
        }
    };
    (@fn [] $name:ident: $type:ty) => {
        #[doc = concat!("The same with this `", stringify!($name), "`.")]
        #[must_use]
        pub fn $name(self, $name: $type) -> Self {
            Self { $name, ..self }
        }
    };
    (@fn [const] $name:ident: $type:ty) => {
        #[doc = concat!("The same with this `", stringify!($name), "`.")]
        #[must_use]
        pub const fn $name(self, $name: $type) -> Self {
            Self { $name, ..self }
        }
    };
    ($($rest:tt)*) => { crate::settings::steps! { @ [] $($rest)* } };
}
pub(crate) use steps;
