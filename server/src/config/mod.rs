//! Configuration of a server: zoo.cfg exactly as Java reads it, JVM properties from the
//! environment, and the forms of the command line, all of which end in one [`ServerConfig`].
//!
//! A file goes through these steps: `rookeeper_protocol::properties` (text to entries) → `settings` (which key is
//! meant, is its value allowed, what is said about it) → `membership` and `members` (the list of
//! servers) → `build` (rules between keys, derived values). `keys` is the list of all keys from
//! which messages and the table of COMPATIBILITY.md come. Nothing here opens a socket or creates
//! a file; a wrong configuration is an error that tells every mistake with its place.

mod address;
mod build;
mod command_line;
mod conf_text;
pub mod doc_table;
mod error;
mod jvm_flags;
pub mod keys;
mod limits;
mod members;
mod membership;
mod reader;
mod server_config;
mod settings;
mod value;

#[cfg(test)]
mod tests;

pub use command_line::{embedded_default, from_arguments, from_file};
pub use conf_text::{ConfEnsemble, ConfFacts};
pub use error::{ConfigError, ConfigNote, EXIT_CODE_WRONG_CONFIG, NoteLevel, Origin, Problem};
pub use jvm_flags::JvmFlags;
pub use limits::EnsembleLimits;
pub use server_config::{
    ConnectionThrottle, ContainerSchedule, EnsembleSettings, FourLetterWhitelist, GroupCommit, LargeRequests,
    ListenAddress, RequestThrottle, ServerConfig, SessionWeights,
};
