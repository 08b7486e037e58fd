//! The agreement: ZooKeeper's atomic broadcast, as Java's servers speak it on the learner port.
//!
//! A leader finds out which epoch is new (discovery), brings learners to its history (synchronization), and
//! then proposes and commits (broadcast); a learner is the mirror of it. Both borrow one state: the epochs, the
//! history and the membership of their server. They know zxids and opaque payloads, and nothing of what is agreed on.

mod action;
mod epoch;
mod history;
pub mod leader;
mod state;
mod sync_plan;

pub use action::{Action, DialId, LearnerLink, Reason};
pub use epoch::{Epoch, Epochs, Offer, StateSummary};
pub use history::{COMMIT_LOG_COUNT_DEFAULT, History, HistoryPiece, LogRecord, WINDOW_BYTES_MAX, follows};
pub use state::{State, ZabRules};
pub use sync_plan::{LearnerState, SyncPlan, SyncRules, plan, plan_from_log};
