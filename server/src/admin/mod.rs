//! What operators ask of a running server.

mod connections;
mod dump;
mod environment;
pub(crate) mod four_letter;
mod java_text;
mod monitor;
mod server;
mod version;
mod watches;
