//! Sessions that only the server knows that their client is connected to (`LocalSessionTracker`).

/// Whether new sessions are known to their server alone (`localSessionsEnabled`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LocalSessions {
    /// All sessions are the ensemble's.
    #[default]
    Disabled,
    /// Sessions are local, and may not own ephemeral znodes.
    Enabled,
    /// Sessions are local until they create an ephemeral znode (`localSessionsUpgradingEnabled`).
    Upgradable,
}
