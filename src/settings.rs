//! Floor 1: options that are declared once. A line of a list ([`settings!`]) says an option's name,
//! type and documentation; the field, its step of a builder, its form in files, and what a command
//! line offers follow from it.
use crate::{Error, Result};

/// How an option is given on a command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Form {
    /// By its name alone.
    Flag,
    /// With one value.
    Value,
    /// With values separated by commas.
    List,
    /// Not at all: it is written in files, or by functions.
    File,
}

/// An option of `T`, as an interface for people offers it.
#[non_exhaustive]
pub struct Setting<T: 'static> {
    /// Name of its field, like `drop_last`.
    pub name: &'static str,
    /// What it does, in sentences.
    pub help: &'static str,
    /// How it is given.
    pub form: Form,
    /// What stands for its value in help; empty for the name itself.
    pub value: &'static str,
    /// Whether a run that is continued stays the same run where this is changed.
    pub keeps_run: bool,
    /// Reads its value from text, or says what is wrong with it.
    pub set: fn(&mut T, &str) -> Result<(), String>,
}

/// A struct of options with the table of them.
pub trait Settings: Default + Sized + 'static {
    /// All options, in the order in which they are to be set.
    const LIST: &'static [Setting<Self>];

    /// Names of the fields that differ from their defaults.
    fn changed(&self) -> Vec<&'static str>;

    /// Sets the option `name` as text says it.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name, and for text that is no value of it.
    fn set(&mut self, name: &str, text: &str) -> Result<()> {
        let Some(setting) = Self::LIST.iter().find(|s| s.name == name) else {
            let known: Vec<&str> = Self::LIST.iter().map(|s| s.name).collect();
            let message = format!("is not one of {}", known.join(", "));
            return Err(Error::argument(name, message));
        };
        (setting.set)(self, text).map_err(|what| Error::argument(name, format!("`{text}`: {what}")))
    }
}

/// The type of an option: how text becomes a value of it.
pub trait Value {
    /// How it is given on a command line.
    const FORM: Form = Form::Value;
    /// What stands for a value in help; empty for the option's name.
    const NAME: &'static str = "";

    /// Takes the value that `text` says, or says what it must be.
    ///
    /// # Errors
    /// What the text must be instead.
    fn set(&mut self, text: &str) -> Result<(), String>;
}

macro_rules! numbers {
    ($($type:ty: $name:expr, $what:expr;)*) => {$(
        impl Value for $type {
            const NAME: &'static str = $name;

            fn set(&mut self, text: &str) -> Result<(), String> {
                *self = text.trim().parse().map_err(|_| format!("must be {}", $what))?;
                Ok(())
            }
        }
    )*};
}

numbers! {
    u64: "N", "a whole number, 0 or more";
    usize: "N", "a whole number, 0 or more";
    f32: "", "a number";
    f64: "", "a number";
}

impl Value for bool {
    const FORM: Form = Form::Flag;

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.parse().map_err(|_| "must be true or false".to_owned())?;
        Ok(())
    }
}

impl Value for String {
    fn set(&mut self, text: &str) -> Result<(), String> {
        text.clone_into(self);
        Ok(())
    }
}

impl Value for Vec<String> {
    const FORM: Form = Form::List;

    fn set(&mut self, text: &str) -> Result<(), String> {
        *self = text.split(',').map(str::to_owned).collect();
        Ok(())
    }
}

/// Height and width.
impl Value for [usize; 2] {
    const NAME: &'static str = "HEIGHTxWIDTH";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let extents = text.split_once('x');
        let extents = extents.and_then(|(h, w)| Some([h.parse().ok()?, w.parse().ok()?]));
        *self = extents.filter(|e| !e.contains(&0)).ok_or("must be HEIGHTxWIDTH, like 32x32")?;
        Ok(())
    }
}

impl<T: Value + Default> Value for Option<T> {
    const FORM: Form = T::FORM;
    const NAME: &'static str = T::NAME;

    fn set(&mut self, text: &str) -> Result<(), String> {
        let mut value = T::default();
        value.set(text)?;
        *self = Some(value);
        Ok(())
    }
}

/// A part of a whole: `0.5` or `50%`.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Share(pub f64);

impl Value for Share {
    const NAME: &'static str = "SHARE";

    fn set(&mut self, text: &str) -> Result<(), String> {
        let (number, whole) = match text.trim().strip_suffix('%') {
            Some(number) => (number, 100.0),
            None => (text, 1.0),
        };
        let share = number.trim().parse().map(|number: f64| number / whole).ok();
        let fits = share.filter(|share| (0.0..=1.0).contains(share));
        self.0 = fits.ok_or("must be from 0 to 1, or from 0% to 100%")?;
        Ok(())
    }
}

/// Whether a field need not be written.
pub(crate) fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Declares a struct of options. Fields that are `needed` must be in files; `optional` ones have
/// the default of their type. After its type a field is an `option` of command lines or of the
/// `file` only, and `keeps_run` where a run that is continued may change it. What is `also` an
/// option is no field: it says how its value changes the struct.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $of:ident;
        needed { $($(#[doc = $need_doc:literal])* $need:ident: $need_type:ty,
            $need_how:ident $($need_keeps:ident)?;)* }
        optional { $($(#[doc = $doc:literal])* $name:ident: $type:ty, $how:ident $($keeps:ident)?;)* }
        also { $($(#[doc = $also_doc:literal])* $also:ident: $also_type:ty = $change:expr;)* }
    ) => {
        $(#[$meta])*
        #[non_exhaustive]
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $of {
            $($(#[doc = $need_doc])* pub $need: $need_type,)*
            $(
                $(#[doc = $doc])*
                #[serde(default, skip_serializing_if = "crate::settings::is_default")]
                pub $name: $type,
            )*
        }

        /// Each field as a step of a builder.
        impl $of {
            $(
                #[doc = concat!("The same with this `", stringify!($need), "`.")]
                #[must_use]
                pub fn $need(self, $need: $need_type) -> Self {
                    Self { $need, ..self }
                }
            )*
            $(
                #[doc = concat!("The same with this `", stringify!($name), "`.")]
                #[must_use]
                pub fn $name(self, $name: $type) -> Self {
                    Self { $name, ..self }
                }
            )*
        }

        impl crate::settings::Settings for $of {
            const LIST: &'static [crate::settings::Setting<Self>] = &[
                $(crate::settings::settings!(
                    @line $need_how, $need, $need_type, concat!($($need_doc),*)
                    $(, $need_keeps)?
                ),)*
                $(crate::settings::settings!(
                    @line $how, $name, $type, concat!($($doc),*) $(, $keeps)?
                ),)*
                $(crate::settings::Setting {
                    name: stringify!($also),
                    help: concat!($($also_doc),*),
                    form: <$also_type as crate::settings::Value>::FORM,
                    value: <$also_type as crate::settings::Value>::NAME,
                    keeps_run: false,
                    set: |all, text| {
                        let change: fn(&mut $of, $also_type) = $change;
                        let mut value = <$also_type>::default();
                        crate::settings::Value::set(&mut value, text)?;
                        change(all, value);
                        Ok(())
                    },
                },)*
            ];

            fn changed(&self) -> Vec<&'static str> {
                let default = Self::default();
                let fields = [
                    $((stringify!($need), self.$need != default.$need),)*
                    $((stringify!($name), self.$name != default.$name),)*
                ];
                fields.into_iter().filter(|(_, changed)| *changed).map(|(name, _)| name).collect()
            }
        }
    };
    (@line option, $name:ident, $type:ty, $help:expr $(, $keeps:ident)?) => {
        crate::settings::Setting {
            name: stringify!($name),
            help: $help,
            form: <$type as crate::settings::Value>::FORM,
            value: <$type as crate::settings::Value>::NAME,
            keeps_run: crate::settings::settings!(@keeps $($keeps)?),
            set: |all, text| crate::settings::Value::set(&mut all.$name, text),
        }
    };
    (@line file, $name:ident, $type:ty, $help:expr $(, $keeps:ident)?) => {
        crate::settings::Setting {
            name: stringify!($name),
            help: $help,
            form: crate::settings::Form::File,
            value: "",
            keeps_run: crate::settings::settings!(@keeps $($keeps)?),
            set: |_, _| Err("is set in files and by functions only".to_owned()),
        }
    };
    (@keeps) => { false };
    (@keeps keeps_run) => { true };
}
pub(crate) use settings;

/// A struct whose fields may become more: `#[non_exhaustive]`, with a step of a builder for each
/// field.
macro_rules! steps {
    (
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
            $(
                #[doc = concat!("The same with this `", stringify!($name), "`.")]
                #[must_use]
                pub fn $name(self, $name: $type) -> Self {
                    Self { $name, ..self }
                }
            )*
        }
    };
}
pub(crate) use steps;
