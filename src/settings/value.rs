//! What an option may be, and how text becomes a value of it.
use super::Form;

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
        self.0 = fits.ok_or_else(|| match share {
            Some(share) if whole == 1.0 && (1.0..=100.0).contains(&share) => {
                let part = share / 100.0;
                format!("must be from 0 to 1, or from 0% to 100%; write {text}% or {part}")
            }
            _ => "must be from 0 to 1, or from 0% to 100%".to_owned(),
        })?;
        Ok(())
    }
}
