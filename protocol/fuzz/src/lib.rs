//! What the fuzz targets do with their bytes. Each function panics when something does not hold.
//!
//! A target here is a function, so that it can be called with a single input from anywhere: the files in
//! `fuzz_targets/` only hand libFuzzer's bytes over, after [`seed`] has put inputs to begin with into its folder.

mod decoders;
mod peer;
mod seeds;
mod session;

pub use decoders::{connect, four_letter, frames, log_entry, multi, reply, request};
pub use peer::{election, packets, snapshot};
pub use seeds::seed;
pub use session::session;
