//! The agreement: ZooKeeper's atomic broadcast, as Java's servers speak it on the learner port.
//!
//! A leader finds out which epoch is new (discovery), brings learners to its history (synchronization), and
//! then proposes and commits (broadcast); a learner is the mirror of it. Both borrow one state: the epochs, the
//! history and the membership of their server. They know zxids and opaque payloads, and nothing of what is agreed on.

mod action;
mod epoch;
mod history;
mod invariants;
pub mod leader;
pub mod learner;
mod state;
mod sync_plan;
#[cfg(test)]
mod testing;

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{PacketType, write_packet};
use rookeeper_protocol::types::Zxid;

pub use action::{Action, DialId, LearnerLink, Reason};
pub use epoch::{Epoch, Epochs, Offer, StateSummary};
pub use history::{COMMIT_LOG_COUNT_DEFAULT, History, HistoryPiece, LogRecord, WINDOW_BYTES_MAX, follows};
pub use invariants::{Violation, require};
pub use state::{State, ZabRules};
pub use sync_plan::{LearnerState, SyncPlan, SyncRules, plan, plan_from_log};

/// One packet without data.
fn packet(packet_type: PacketType, zxid: Zxid) -> Bytes {
    let mut out = BytesMut::new();
    write_packet(&mut out, packet_type, zxid, None);
    out.freeze()
}
