//! What can end a benchmark before its time, or make its result worthless.

use std::io;

use thiserror::Error;

/// Why a benchmark did not succeed. The message says what was wrong, where, and what to do about it.
#[derive(Debug, Error)]
pub enum BenchError {
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// A server could not be reached, or refused sessions.
    #[error("{0}")]
    Connect(String),
    /// A connection ended, or had to be ended since the server broke the protocol.
    #[error("lost the connection to {server}: {reason}; {unanswered} requests were unanswered")]
    Lost {
        /// The server as named on the command line.
        server: String,
        /// What the socket said, or what the server sent.
        reason: String,
        /// Requests of that connection without a reply.
        unanswered: usize,
    },
    /// A step took longer than its bound.
    #[error("{what} was not done after {seconds:.3} s")]
    Deadline {
        /// The step.
        what: String,
        /// Its bound.
        seconds: f64,
    },
    /// The run went through, but not every reply was what it had to be. The report has been printed.
    #[error("{errors} error replies and {wrong} wrong replies: the figures above do not count")]
    Replies {
        /// Replies with an error code that was not expected.
        errors: u64,
        /// Replies whose contents were wrong.
        wrong: u64,
    },
    /// The preparation of the run was refused by the server.
    #[error("{what}: the server answered {code}")]
    Refused {
        /// What was asked.
        what: String,
        /// The error code with its name.
        code: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
}

impl BenchError {
    /// An [`BenchError::Io`] with its context.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
