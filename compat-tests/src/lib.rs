//! The harness that plays one script on Apache ZooKeeper and on Rookeeper and compares what comes back, and that runs
//! both in one ensemble.
//!
//! - [`polling`]: waiting for what another process does
//! - [`process`]: a process that ends with the test
//! - [`server`]: a server process, whichever it is: start, stop, kill, restart; [`java`] and [`ours`] know the commands
//! - [`raw_client`]: bytes to a client port and back, well-formed or not
//! - [`body`], [`request`]: requests as scripts write them
//! - [`script`]: a list of steps over named connections
//! - [`view`]: a reply as text, without what may differ from run to run
//! - [`player`]: plays a script on one server
//! - [`compare`]: plays it on both and reports the differences
//! - [`expected_differences`]: the only answers that are meant to differ
//! - [`four_letter`]: the operator's commands, as text
//! - [`random`]: scripts made from a seed
//! - [`ensemble`]: several servers of either kind as one, and all that may happen to them
//! - [`client`]: a session that moves between them
//! - [`load`]: workers that know what must be there; [`history`]: whether what clients saw is linearizable
//!
//! The environment decides what is compared:
//!
//! | variable | meaning |
//! |---|---|
//! | `ROOKEEPER_BIN` | the binary under test; default `$CARGO_TARGET_DIR/release/rookeeper` |
//! | `ROOKEEPER_CACHE` | where `provision/provision.sh` has put the jars; default `~/.cache/rookeeper` |
//! | `COMPAT_SUBJECT=java` | compares Apache ZooKeeper with itself, which proves that the comparison is deterministic and the harness of ensembles right |
//! | `COMPAT_KEEP` | keeps the servers' folders with their logs, whichever way a test ends |
//! | `COMPAT_TRANSCRIPTS` | a folder that gets each script's transcript of both servers |
//! | `ROOKEEPER_SEED` | one seed for the random scripts, in place of the usual ones |
//! | `ROOKEEPER_SEEDS` | how many new seeds the clock gives beside the fixed ones; default 1 |
//! | `ROOKEEPER_CRASH_CYCLES` | how often the crash test kills the server |
//! | `ROOKEEPER_LEADER_KILLS` | how many leaders in a row are killed |

pub mod body;
pub mod client;
pub mod compare;
pub mod control;
pub mod ensemble;
pub mod expected_differences;
pub mod four_letter;
pub mod history;
pub mod java;
pub mod load;
pub mod ours;
pub mod player;
pub mod polling;
pub mod process;
pub mod random;
pub mod raw_client;
pub mod request;
pub mod rng;
pub mod script;
pub mod server;
pub mod view;
