//! What can be said of an environment, and of the machine below it: one form for everything, so
//! that a person, a log and a program read the same.

use std::fmt;

use serde::{Serialize, Serializer};

use super::shown::{self, harmless};
use super::table::{Kind, Variable};

/// One thing that somebody should change. Prints as a line; neither that nor its JSON steers a
/// terminal, whatever the environment holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The variable that it is about; for a limit of the machine the limit's own name.
    #[serde(serialize_with = "shown::serialize")]
    pub variable: String,
    /// What is in force; `None` where nothing is, or where it must not be printed.
    pub value: Option<Given>,
    /// What is wrong with it.
    #[serde(serialize_with = "shown::serialize")]
    pub reason: String,
    /// What to do instead.
    #[serde(serialize_with = "shown::serialize")]
    pub remedy: String,
}

/// A reason not to start.
pub type Mistake = Finding;

/// Something that an operator should know, and that does not keep a process from starting.
pub type Warning = Finding;

/// A value as far as it may be printed: without the user and the password of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    Text(String),
    Secret,
}

impl Finding {
    /// About a variable without its value, or about what is no variable.
    pub fn of_name(
        variable: impl Into<String>,
        reason: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            variable: variable.into(),
            value: None,
            reason: reason.into(),
            remedy: remedy.into(),
        }
    }
}

impl Given {
    /// What may be printed of this variable's text.
    pub(super) fn of(variable: &Variable, text: &str) -> Self {
        if variable.kind == Kind::Secret {
            return Self::Secret;
        }
        Self::Text(shown::without_users(variable, text))
    }

    /// The text, or what stands for a secret. As it was given: for a terminal there is [`harmless`].
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Secret => "***",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [variable, reason, remedy] =
            [&self.variable, &self.reason, &self.remedy].map(|text| harmless(text));
        match &self.value {
            Some(value) => write!(f, "{variable}={value}: {reason}; {remedy}"),
            None => write!(f, "{variable}: {reason}; {remedy}"),
        }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret => f.write_str(self.as_str()),
        }
    }
}

impl Serialize for Given {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        shown::serialize(self.as_str(), serializer)
    }
}
