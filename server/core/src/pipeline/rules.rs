//! What of the pipeline depends on the configuration.

use crate::acl::AclPolicy;

/// The time, as the driver read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Milliseconds on a clock that never goes back; counts for timeouts.
    pub monotonic_ms: i64,
    /// Milliseconds since 1970; goes into transactions and may jump.
    pub wall_ms: i64,
}

/// Switches and numbers.
#[derive(Debug, Clone)]
pub struct PipelineRules {
    /// The high byte of new session ids; 1 for a standalone server.
    pub server_id: u8,
    /// tickTime in milliseconds: the width of an expiry bucket.
    pub tick_ms: i64,
    /// minSessionTimeout in milliseconds.
    pub session_timeout_ms_min: i32,
    /// maxSessionTimeout in milliseconds.
    pub session_timeout_ms_max: i32,
    /// Who may do what.
    pub acl: AclPolicy,
    /// Whether hard quotas refuse requests (`zookeeper.enforceQuota`).
    pub enforce_quota: bool,
    /// Whether reconfig is switched on.
    pub reconfig_enabled: bool,
    /// Whether a closeSession lists what goes with the session (`zookeeper.closeSessionTxn.enabled`).
    pub close_session_txn: bool,
    /// Longest string or buffer inside a request in bytes (`jute.maxbuffer` plus its extra size).
    pub inner_length_max: i32,
}

impl PipelineRules {
    /// The timeout that a client gets who wishes this one.
    pub fn clamp_timeout(&self, wished_ms: i32) -> i32 {
        // Java raises first and lowers then; the configuration sees to it that the order does not matter.
        wished_ms.max(self.session_timeout_ms_min).min(self.session_timeout_ms_max)
    }
}
