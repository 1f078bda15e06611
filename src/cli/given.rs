//! Options of a list in the library as options of the command line.
use std::marker::PhantomData;

use clap::error::Error;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use secateur::Result;
use secateur::settings::{Form, Setting, Settings};

/// The options of `T` that were given, as text that has been found right.
#[derive(Debug, Clone)]
pub struct Given<T> {
    /// Name and value.
    all: Vec<(&'static str, String)>,
    of: PhantomData<T>,
}

impl<T> Default for Given<T> {
    fn default() -> Self {
        Self { all: Vec::new(), of: PhantomData }
    }
}

impl<T: Settings> Given<T> {
    /// Whether the option `name` was given.
    pub fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(given, _)| *given == name)
    }

    /// Names and values, in the order of the list.
    pub fn all(&self) -> &[(&'static str, String)] {
        &self.all
    }

    /// Puts what is given into `options`.
    pub fn change(&self, options: &mut T) -> Result<()> {
        self.all.iter().try_for_each(|(name, text)| options.set(name, text))
    }

    fn offered() -> impl Iterator<Item = &'static Setting<T>> {
        T::LIST.iter().filter(|setting| setting.form != Form::File)
    }
}

impl<T: Settings> Args for Given<T> {
    fn augment_args(command: Command) -> Command {
        Self::offered().fold(command, |command, setting| command.arg(arg(setting)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

fn arg<T: Settings>(setting: &'static Setting<T>) -> Arg {
    let help = setting.help.trim();
    // A help of one sentence has no full stop, as the derived ones.
    let help = help.strip_suffix('.').filter(|text| !text.ends_with('.')).unwrap_or(help);
    let arg = Arg::new(setting.name).long(setting.name.replace('_', "-")).help(help);
    if setting.form == Form::Flag {
        return arg.action(ArgAction::SetTrue);
    }
    let value = match setting.value {
        "" => setting.name.to_uppercase(),
        value => value.to_owned(),
    };
    // A negative number is answered by the range, not by an unknown option.
    let arg = arg.value_name(value).allow_negative_numbers(true);
    let check = |text: &str| (setting.set)(&mut T::default(), text).map(|()| text.to_owned());
    let arg = arg.value_parser(check);
    match setting.form {
        Form::List => arg.action(ArgAction::Append),
        _ => arg.action(ArgAction::Set),
    }
}

impl<T: Settings> FromArgMatches for Given<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |setting: &Setting<T>| {
            let text = match setting.form {
                Form::Flag => matches.get_flag(setting.name).then(|| true.to_string()),
                _ => matches
                    .get_many::<String>(setting.name)
                    .map(|all| all.map(String::as_str).collect::<Vec<_>>().join(",")),
            };
            text.map(|text| (setting.name, text))
        };
        Ok(Self { all: Self::offered().filter_map(given).collect(), of: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
