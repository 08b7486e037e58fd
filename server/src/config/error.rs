//! What can be wrong with a configuration, and what is worth a log line although the server
//! starts: always with the place it was written at, so that the reader need not search.

use std::fmt;
use std::path::{Path, PathBuf};

/// Exit code of a process that was given a wrong configuration (Java's
/// `ExitCode.INVALID_INVOCATION`).
pub const EXIT_CODE_WRONG_CONFIG: i32 = 2;

/// Where a setting was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// An environment variable holding JVM options.
    JvmFlags {
        /// `SERVER_JVMFLAGS`, `JVMFLAGS` or `ZOO_DATADIR_AUTOCREATE_DISABLE`.
        variable: &'static str,
    },
    /// A word of the command line; the first one is 1.
    Argument {
        /// Position of the word.
        position: usize,
    },
    /// A line of a file; the first one is 1.
    Line {
        /// The file as it was named by the user.
        path: PathBuf,
        /// The line on which the setting begins.
        line: usize,
    },
    /// A whole file.
    File {
        /// The file as it was named by the user.
        path: PathBuf,
    },
}

impl Origin {
    pub(super) fn file(path: &Path) -> Self {
        Self::File { path: path.to_path_buf() }
    }

    pub(super) fn line(path: &Path, line: usize) -> Self {
        Self::Line { path: path.to_path_buf(), line }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JvmFlags { variable } => write!(f, "environment variable {variable}"),
            Self::Argument { position } => write!(f, "argument {position}"),
            Self::Line { path, line } => write!(f, "{}:{line}", path.display()),
            Self::File { path } => write!(f, "{}", path.display()),
        }
    }
}

/// One reason why the server does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it was written; absent for something that was written nowhere.
    pub origin: Option<Origin>,
    /// The key as it was written; absent where no single key is meant.
    pub key: Option<String>,
    /// What is wrong and what to do.
    pub text: String,
}

impl Problem {
    pub(super) fn new(origin: Option<Origin>, key: Option<&str>, text: impl Into<String>) -> Self {
        Self { origin, key: key.map(str::to_owned), text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.origin.as_ref(), self.key.as_deref())?;
        f.write_str(&self.text)
    }
}

/// The configuration cannot be used. Holds every reason that was found, not only the first, so
/// that a file is mended in one go.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ConfigError {
    /// The reasons in the order of the file, never none.
    pub problems: Vec<Problem>,
}

impl ConfigError {
    /// What the process exits with: 2, as Java does for a wrong invocation or configuration.
    pub fn exit_code(&self) -> i32 {
        EXIT_CODE_WRONG_CONFIG
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// How loud a [`ConfigNote`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoteLevel {
    /// Nothing that was asked for is missing.
    Info,
    /// Something that was asked for is not what it will be.
    Warn,
}

/// A line for the log: the server starts, but not all that was written has the effect that its
/// author may expect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigNote {
    /// How loud to say it.
    pub level: NoteLevel,
    /// Where it was written.
    pub origin: Option<Origin>,
    /// The key as it was written.
    pub key: Option<String>,
    /// What has no effect or another one, and why.
    pub text: String,
}

impl fmt::Display for ConfigNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_place(f, self.origin.as_ref(), self.key.as_deref())?;
        f.write_str(&self.text)
    }
}

fn write_place(f: &mut fmt::Formatter<'_>, origin: Option<&Origin>, key: Option<&str>) -> fmt::Result {
    if let Some(origin) = origin {
        write!(f, "{origin}: ")?;
    }
    if let Some(key) = key {
        write!(f, "{key}: ")?;
    }
    Ok(())
}
