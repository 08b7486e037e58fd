//! For tests of drivers: a server of which nothing runs.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use rookeeper_core::client::ConnectionRules;
use rookeeper_core::pipeline::{Pipeline, PipelineRules};
use rookeeper_core::tree::{ChangeLog, Tree};

use super::clock::Clock;
use super::machine::Machine;
use super::shared::Shared;
use super::start::tree_rules;
use crate::config::{JvmFlags, ServerConfig, embedded_default};

const INNER_LENGTH_MAX: i32 = 1 << 20;

/// What threads share, of a server that stands alone and has no data.
pub(crate) fn idle_server() -> Arc<Shared> {
    idle_server_with(|_| {})
}

/// The same with another configuration.
pub(crate) fn idle_server_with(configure: impl FnOnce(&mut ServerConfig)) -> Arc<Shared> {
    let (clock, mut config) = (Clock::start(), embedded_default(&JvmFlags::default()).unwrap());
    configure(&mut config);
    let tree = Tree::new(tree_rules(&config), 1);
    let rules = PipelineRules {
        server_id: 1,
        tick_ms: 2000,
        session_timeout_ms_min: 4000,
        session_timeout_ms_max: 40_000,
        acl: Default::default(),
        enforce_quota: false,
        reconfig_enabled: false,
        close_session_txn: true,
        inner_length_max: INNER_LENGTH_MAX,
    };
    let connection_rules = ConnectionRules {
        acl: Default::default(),
        inner_length_max: INNER_LENGTH_MAX,
        sync_is_agreed: false,
        required_schemes: Vec::new(),
    };
    let pipeline = Pipeline::new(rules, &tree, [], ChangeLog::default(), clock.now());
    Arc::new(Shared::new(config, clock, Machine::Alone(Box::new(pipeline)), tree, connection_rules, 1))
}
