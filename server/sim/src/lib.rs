//! The simulator: whole ensembles from one seed.
//!
//! Every member is the core's machine ([`rookeeper_core::peer::Peer`]) over storage's own log, image and recovery; only the
//! disks, the network, the clocks and the clients are made up, and everything that is left to chance comes from the
//! seed. The same seed gives the same trace, bit for bit. After each step the properties of the agreement are checked,
//! from outside, and each answer that a client gets is held against the order of all that was committed.
//!
//! README.md beside this package tells how to run, replay and shrink; SCENARIOS.md the language of the scripts.

mod checks;
mod client;
mod clock;
mod cluster;
mod faults;
mod member;
mod network;
mod plan;
mod queue;
mod random;
mod run;
mod script;
mod trace;

pub use checks::Failed;
pub use plan::{Fault, Planned};
#[cfg(feature = "planted")]
pub use rookeeper_core::planted::{Mistake, plant};
pub use run::{Options, Outcome, load, run};
pub use script::{Played, play};
