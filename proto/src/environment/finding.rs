//! What can be said of an environment, and of the machine below it: one form for everything, so
//! that a person, a log and a program read the same.

use std::fmt;

use serde::{Serialize, Serializer};

/// One thing that somebody should change. Prints as a line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The variable that it is about; for a limit of the machine the limit's own name.
    pub variable: String,
    /// What is in force; `None` where nothing is, or where it must not be printed.
    pub value: Option<Given>,
    /// What is wrong with it.
    pub reason: String,
    /// What to do instead.
    pub remedy: String,
}

/// A reason not to start.
pub type Mistake = Finding;

/// Something that an operator should know, and that does not keep a process from starting.
pub type Warning = Finding;

/// A value as far as it may be printed.
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
    /// The text, or what stands for a secret.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Text(text) => text,
            Self::Secret => "***",
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { variable, value, reason, remedy } = self;
        match value {
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
        serializer.serialize_str(self.as_str())
    }
}
