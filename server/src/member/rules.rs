//! The configuration in the words of the machine and of the sockets.

use rookeeper_core::election::Timing;
use rookeeper_core::peer::PeerRules;
use rookeeper_core::pipeline::PipelineRules;
use rookeeper_core::zab::{SyncRules, ZabRules};

use crate::config::ServerConfig;
use crate::peers::ElectionSockets;

/// Limits and switches of the machine.
pub(crate) fn peer_rules(config: &ServerConfig, pipeline: PipelineRules, seed: u64) -> PeerRules {
    let limits = &config.ensemble.limits;
    PeerRules {
        zab: ZabRules {
            tick_ms: i64::from(config.tick_time_ms),
            init_limit: i64::from(limits.init_limit),
            sync_limit: i64::from(limits.sync_limit),
            connect_limit: i64::from(limits.connect_to_learner_master_limit),
            sync: SyncRules {
                force_snapshot: limits.force_snapshot_sync,
                snapshot_size_permille: limits.snapshot_size_permille,
                snap_syncs_max: limits.snap_syncs_max,
                diff_syncs_max: limits.diff_syncs_max,
            },
            epoch_wait_ms_max: limits.epoch_wait_ms_max,
            observer_sync: limits.observer_sync,
            first_counter: limits.first_counter,
        },
        pipeline,
        election: Timing {
            interval_ms_min: i64::from(limits.notification_interval_ms_min),
            interval_ms_max: i64::from(limits.notification_interval_ms_max),
        },
        commit_log_count: limits.commit_log_count,
        leader_serves: limits.leader_serves,
        observer_delay_ms: limits.observer_election_delay_ms,
        observer_reconnect_delay_ms: limits.observer_reconnect_delay_ms,
        observer_masters: limits.observer_master_port.is_some(),
        local_sessions: limits.local_sessions,
        read_only_mode: config.read_only_mode_enabled,
        seed,
    }
}

/// How election connections are made.
pub(crate) fn election_sockets(config: &ServerConfig) -> ElectionSockets {
    let limits = &config.ensemble.limits;
    ElectionSockets {
        connect_timeout: limits.cnx_timeout,
        handshake_timeout: limits.quorum_cnxn_timeout,
        multi_address: limits.multi_address,
        keep_alive: limits.tcp_keep_alive,
    }
}
