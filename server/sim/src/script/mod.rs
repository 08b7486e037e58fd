//! Scenarios: stories of what went wrong elsewhere, told exactly, with what must come of them here.

mod condition;
mod parse;
mod play;

pub use play::{Played, play};
