//! Floor 1: options that are declared once. A line of a list (`settings!`) says an option's name,
//! type and documentation; the field, its step of a builder, its form in files, and what a command
//! line offers follow from it.
mod steps;
mod value;

pub(crate) use steps::steps;
pub use value::{Share, Value};

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
    /// Whether it is a field, and so a key of files; else it says how its value changes others.
    pub is_field: bool,
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
            let meant = nearest(name, known.iter().copied());
            let hint = meant.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
            let message = format!("is not one of {}{hint}", known.join(", "));
            return Err(Error::argument(name, message));
        };
        (setting.set)(self, text).map_err(|what| Error::argument(name, format!("`{text}`: {what}")))
    }
}

/// The name that was most likely meant, where `message` is serde's about one that is unknown; none
/// where no known one is within an edit per three letters.
pub fn meant(message: &str) -> Option<&str> {
    let (_, names) = message.split_once("unknown field ").or_else(|| {
        let at = message.find("unknown variant ")?;
        Some(("", &message[at..]))
    })?;
    let mut names = names.split('`').skip(1).step_by(2);
    let given = names.next()?;
    nearest(given, names)
}

/// The one of the `known` names that is nearest to `given`, within an edit per three letters.
pub fn nearest<'a>(given: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let distance = |name: &&str| strsim::damerau_levenshtein(name, given);
    known.min_by_key(distance).filter(|name| distance(name) <= name.len().div_ceil(3))
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
        optional { $($(#[doc = $doc:literal])* $name:ident: $type:ty,
            $how:ident $($keeps:ident)?;)* }
        also { $($(#[doc = $also_doc:literal])* $also:ident: $also_type:ty = $change:expr;)* }
    ) => {
        $(#[$meta])*
        #[non_exhaustive]
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        #[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
                    is_field: false,
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
            is_field: true,
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
            is_field: true,
            set: |_, _| Err("can be set in a recipe file only, and by functions".to_owned()),
        }
    };
    (@keeps) => { false };
    (@keeps keeps_run) => { true };
}
pub(crate) use settings;

/// The JSON schema of a type that is text in files: what is beside `"type": "string"`.
#[cfg(feature = "schema")]
macro_rules! text_schema {
    ($of:ident = { $($key:literal: $value:expr),* }) => {
        impl schemars::JsonSchema for $of {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($of).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", $($key: $value),* })
            }
        }
    };
}
#[cfg(feature = "schema")]
pub(crate) use text_schema;
