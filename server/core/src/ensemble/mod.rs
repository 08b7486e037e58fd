//! Who belongs to an ensemble and which of them decide: lists of members with their exact text, quorums, and the
//! change of one list into another.
//!
//! Nothing here sends, stores or looks up a name; a host is text until a driver connects to it.

mod config;
mod member;
mod membership;
mod quorum;
mod reconfig;

pub use config::{ConfigError, ConfigProblem, ConfigRules, EnsembleConfig, Hierarchy, is_config_key};
pub use member::{Member, MemberError, PeerAddress, Role};
pub use membership::{Activation, Membership};
pub use quorum::{Quorum, Quorums};
pub use reconfig::{ReconfigError, designated_leader, reconfigured};
