//! What operators hear of a member: its state in the log, what it measured in the metrics.

use rookeeper_core::peer::{DetailedState, Peer, Sample};

use crate::metrics::ServerStats;

/// Looks at the machine after each batch.
#[derive(Debug, Default)]
pub(super) struct Monitor {
    told: Option<DetailedState>,
    samples: Vec<Sample>,
}

impl Monitor {
    /// Takes what was measured, and tells a change of state in Java's words (`QuorumPeer#setZabState`). States that last
    /// no longer than a batch are not told.
    pub(super) fn look(&mut self, stats: &ServerStats, peer: &mut Peer) {
        peer.take_samples(&mut self.samples);
        self.samples.drain(..).for_each(|sample| stats.member.add(&sample));
        let state = peer.detailed_state();
        if self.told != Some(state) {
            self.told = Some(state);
            tracing::info!("Peer state changed: {state}");
        }
    }
}
