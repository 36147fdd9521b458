//! What can be wrong with an environment, and how it is said.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// One reason not to start.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Mistake {
    #[error("{name}={value}: {needs}")]
    Value {
        name: &'static str,
        value: Given,
        /// What would be right.
        needs: String,
    },
    #[error("{name}: the value is not valid UTF-8")]
    NotUtf8 { name: &'static str },
    /// The value is not printed: it may be a secret.
    #[error("{name}: there is no such variable{}", nearest.map(suggestion).unwrap_or_default())]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("METASTORE_ENV_FILE=\"{}\": cannot be read: {reason}", path.display())]
    FileUnreadable { path: PathBuf, reason: String },
    #[error("{}:{line}: needs NAME=VALUE, or # and a comment", path.display())]
    FileLine {
        path: PathBuf,
        /// From 1.
        line: usize,
    },
    #[error("{}:{line}: METASTORE_ENV_FILE cannot be set inside the file", path.display())]
    FileInFile {
        path: PathBuf,
        /// From 1.
        line: usize,
    },
}

fn suggestion(name: &'static str) -> String {
    format!("; the nearest is {name}")
}

impl Mistake {
    /// Whether it is about this variable.
    pub(super) fn is_about(&self, variable: &str) -> bool {
        match self {
            Self::Value { name, .. } | Self::NotUtf8 { name } => *name == variable,
            Self::Unknown { name, .. } => name == variable,
            Self::FileUnreadable { .. } | Self::FileLine { .. } | Self::FileInFile { .. } => false,
        }
    }
}

/// A value as far as it may be printed.
#[derive(Debug, PartialEq, Eq)]
pub enum Given {
    Text(String),
    Secret,
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "{text:?}"),
            Self::Secret => f.write_str("***"),
        }
    }
}

/// Something that an operator should know, and that does not keep a process from starting.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum Warning {
    #[error("{name} is ignored: {reason}")]
    Ignored { name: &'static str, reason: &'static str },
    #[error("{name} is not read{}", ours.map(instead).unwrap_or_default())]
    EtcdVariable {
        name: String,
        /// Our variable of the same meaning.
        ours: Option<&'static str>,
    },
    #[error("clients are told to connect to {url}: set METASTORE_ADVERTISE_CLIENT_URLS")]
    AdvertisesAnyAddress { url: String },
}

fn instead(name: &'static str) -> String {
    format!("; use {name}")
}
