//! What operators ask of a member: how far it is, what it has counted, how long things took (`ServerMetrics`,
//! `QuorumPeer#getDetailedPeerState`).
//!
//! Counting costs an addition for a packet. Latencies are those of whole batches: transactions that were proposed in the
//! same millisecond, and are committed at the same time, are one sample.

mod latency;
mod state;

use rookeeper_protocol::peer::{PacketType, PeerState};
use rookeeper_protocol::txn::LogEntry;
use rookeeper_protocol::types::{ServerId, Zxid};

use super::{Peer, Role};
use crate::pipeline::Now;
use crate::zab::Reason;
use crate::zab::leader::{Leader, LearnerCounts, ProposalSizes, SyncCounts};
use crate::zab::learner::{Learner, Stage};
use latency::Timeline;
pub use state::{DetailedState, ZabPhase};

/// Samples that are kept until somebody takes them; what comes then is not measured.
const SAMPLES_MAX: usize = 1024;

/// So many of the newest samples are looked at for one of the same value.
const RECENT_SAMPLES: usize = 4;

/// What is measured, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// An election, from its beginning to the role that it led to.
    Election,
    /// The time without a leader that serves, or without this server's part in it.
    Unavailable,
    /// The same where this server became the leader.
    LeaderUnavailable,
    /// The time from the leader's epoch to the beginning of service, of a follower.
    FollowerSync,
    /// The same of an observer.
    ObserverSync,
    /// From the leader's making of a transaction to the quorum's acknowledgement.
    QuorumAck,
    /// … to a learner's hearing of its commit.
    CommitPropagation,
    /// … to its arrival at a follower.
    Proposal,
    /// … to its being applied here.
    Propagation,
}

/// Several equal values of a measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// What was measured.
    pub measure: Measure,
    /// The value in milliseconds. Between servers their wall clocks count, as in Java; what they make negative is left out.
    pub ms: i64,
    /// How often.
    pub count: u64,
}

/// What a member has counted since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Searches for a leader.
    pub looks: u64,
    /// Requests that were prepared here, as the leader.
    pub prepared: u64,
    /// Transactions proposed here.
    pub proposals: u64,
    /// Transactions committed here, as the leader.
    pub commits: u64,
    /// Proposals that came from the leader while this server followed.
    pub proposals_received: u64,
    /// Commits that came from the leader.
    pub commits_received: u64,
    /// How learners were synchronized.
    pub syncs: SyncCounts,
    /// Questions of learners for sessions.
    pub revalidations: u64,
    /// Sessions that were silent too long, and were ended here.
    pub sessions_expired: u64,
    /// How often this server stopped leading because a voter looked for another leader.
    pub disloyal_voters: u64,
}

impl Counts {
    /// What was counted after these.
    pub fn since(self, earlier: Self) -> Self {
        Self {
            looks: self.looks.saturating_sub(earlier.looks),
            prepared: self.prepared.saturating_sub(earlier.prepared),
            proposals: self.proposals.saturating_sub(earlier.proposals),
            commits: self.commits.saturating_sub(earlier.commits),
            proposals_received: self.proposals_received.saturating_sub(earlier.proposals_received),
            commits_received: self.commits_received.saturating_sub(earlier.commits_received),
            syncs: SyncCounts {
                diffs: self.syncs.diffs.saturating_sub(earlier.syncs.diffs),
                snapshots: self.syncs.snapshots.saturating_sub(earlier.syncs.snapshots),
            },
            revalidations: self.revalidations.saturating_sub(earlier.revalidations),
            sessions_expired: self.sessions_expired.saturating_sub(earlier.sessions_expired),
            disloyal_voters: self.disloyal_voters.saturating_sub(earlier.disloyal_voters),
        }
    }
}

/// What only a leader tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaderFigures {
    /// Its learners.
    pub learners: LearnerCounts,
    /// `sync`s that wait.
    pub pending_syncs: usize,
    /// How long it has led, in milliseconds.
    pub uptime_ms: i64,
    /// Lengths of its proposals.
    pub proposal_sizes: Option<ProposalSizes>,
}

/// What a member counts and measures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    counts: Counts,
    samples: Vec<Sample>,
    timeline: Timeline,
    /// Since when an election goes on, in monotonic milliseconds.
    looks_since_ms: Option<i64>,
    /// Since when the server takes no part in a quorum, in monotonic milliseconds.
    unavailable_since_ms: Option<i64>,
    /// Since when the leader's epoch is known, in monotonic milliseconds.
    syncs_since_ms: Option<i64>,
}

impl Figures {
    fn sample(&mut self, measure: Measure, ms: i64, count: u64) {
        if ms < 0 || count == 0 {
            return;
        }
        let is_full = self.samples.len() >= SAMPLES_MAX;
        let equal = |sample: &&mut Sample| sample.measure == measure && sample.ms == ms;
        match self.samples.iter_mut().rev().take(RECENT_SAMPLES).find(equal) {
            Some(sample) => sample.count += count,
            None if is_full => {}
            None => self.samples.push(Sample { measure, ms, count }),
        }
    }

    /// The server looks for a leader.
    pub(super) fn looks(&mut self, now: Now) {
        self.counts.looks += 1;
        self.looks_since_ms.get_or_insert(now.monotonic_ms);
        self.unavailable_since_ms.get_or_insert(now.monotonic_ms);
    }

    /// An election is over; an observer's is not measured, as in Java.
    pub(super) fn elected(&mut self, now: Now, state: PeerState) {
        if let Some(since_ms) = self.looks_since_ms.take()
            && state != PeerState::Observing
        {
            self.sample(Measure::Election, now.monotonic_ms - since_ms, 1);
        }
    }

    /// The role begins to serve.
    pub(super) fn serves(&mut self, now: Now, state: PeerState) {
        if let Some(since_ms) = self.unavailable_since_ms.take() {
            self.sample(Measure::Unavailable, now.monotonic_ms - since_ms, 1);
            if state == PeerState::Leading {
                self.sample(Measure::LeaderUnavailable, now.monotonic_ms - since_ms, 1);
            }
        }
        let sync = if state == PeerState::Observing { Measure::ObserverSync } else { Measure::FollowerSync };
        if let Some(since_ms) = self.syncs_since_ms.take() {
            self.sample(sync, now.monotonic_ms - since_ms, 1);
        }
    }

    /// The role is over, and in all roles learners were synchronized so often.
    fn role_ended(&mut self, now: Now, syncs: SyncCounts) {
        self.counts.syncs = syncs;
        self.unavailable_since_ms.get_or_insert(now.monotonic_ms);
        self.syncs_since_ms = None;
        self.timeline = Timeline::default();
    }

    /// A request was prepared.
    pub(super) fn prepared(&mut self) {
        self.counts.prepared += 1;
    }

    /// So many transactions were proposed, up to this one.
    pub(super) fn proposed(&mut self, now: Now, through: Zxid, count: usize) {
        self.counts.proposals += count as u64;
        self.timeline.proposed(Zxid(through.0 - count as i64), through, now.wall_ms);
    }

    /// So many sessions were silent too long.
    pub(super) fn expired(&mut self, sessions: usize) {
        self.counts.sessions_expired += sessions as u64;
    }

    /// A learner asked for a session.
    pub(super) fn revalidates(&mut self) {
        self.counts.revalidations += 1;
    }

    /// The learner has heard its leader's epoch.
    fn knows_epoch(&mut self, now: Now) {
        self.syncs_since_ms.get_or_insert(now.monotonic_ms);
    }

    /// The leader of a learner that serves sent something.
    fn received(&mut self, kind: PacketType) {
        match kind {
            PacketType::Proposal => self.counts.proposals_received += 1,
            PacketType::Commit | PacketType::Inform => self.counts.commits_received += 1,
            _ => {}
        }
    }

    /// A transaction came from the leader while this server serves; it was made at this time, in wall milliseconds.
    fn learned(&mut self, now: Now, zxid: Zxid, made_ms: i64, follows: bool) {
        self.timeline.proposed(Zxid(zxid.0 - 1), zxid, made_ms);
        if follows {
            self.sample(Measure::Proposal, now.wall_ms - made_ms, 1);
        }
    }

    /// Everything up to here is committed.
    pub(super) fn committed(&mut self, now: Now, through: Zxid, leads: bool) {
        if !self.timeline.has_uncommitted(through) {
            return;
        }
        let measure = if leads { Measure::QuorumAck } else { Measure::CommitPropagation };
        let mut timeline = std::mem::take(&mut self.timeline);
        timeline.committed(through, |made_ms, count| {
            self.sample(measure, now.wall_ms - made_ms, count);
            if leads {
                self.counts.commits += count;
            }
        });
        self.timeline = timeline;
    }

    /// Everything up to here is applied.
    pub(super) fn applied(&mut self, now: Now, through: Zxid) {
        let mut timeline = std::mem::take(&mut self.timeline);
        timeline.applied(through, |made_ms, count| self.sample(Measure::Propagation, now.wall_ms - made_ms, count));
        self.timeline = timeline;
    }
}

fn added(counts: SyncCounts, master: Option<&Leader>) -> SyncCounts {
    let more = master.map(Leader::sync_counts).unwrap_or_default();
    SyncCounts { diffs: counts.diffs + more.diffs, snapshots: counts.snapshots + more.snapshots }
}

impl Peer {
    /// What it has counted since it started.
    pub fn counts(&self) -> Counts {
        let counts = self.figures.counts;
        Counts { syncs: added(counts.syncs, self.serving_master()), ..counts }
    }

    /// Takes what was measured since the last time.
    pub fn take_samples(&mut self, into: &mut Vec<Sample>) {
        into.append(&mut self.figures.samples);
    }

    /// What only a leader tells.
    pub fn leader_figures(&self, now: Now) -> Option<LeaderFigures> {
        let Role::Leading(leader) = &self.role else { return None };
        Some(LeaderFigures {
            learners: leader.learner_counts(&self.state),
            pending_syncs: leader.pending_syncs(),
            uptime_ms: leader.serves_since_ms().map_or(0, |since_ms| now.monotonic_ms - since_ms),
            proposal_sizes: leader.proposal_sizes(),
        })
    }

    /// Observers that are served here; none where nobody serves any.
    pub fn synced_observers(&self) -> Option<usize> {
        match &self.role {
            Role::Leading(leader) => Some(leader.learner_counts(&self.state).observers),
            Role::Learning(learner) if learner.follows() && self.rules.observer_masters => {
                Some(learner.observer_master().map_or(0, |master| master.learner_counts(&self.state).observers))
            }
            _ => None,
        }
    }

    /// The server that an observer learns from.
    pub fn observer_master(&self) -> Option<ServerId> {
        match &self.role {
            Role::Learning(learner) if !learner.follows() => Some(learner.master()),
            _ => None,
        }
    }

    /// How many servers vote.
    pub fn quorum_size(&self) -> usize {
        self.state.membership.active().participants().count()
    }

    fn serving_master(&self) -> Option<&Leader> {
        match &self.role {
            Role::Leading(leader) => Some(leader),
            Role::Learning(learner) => learner.observer_master(),
            Role::Looking | Role::Pausing(_) | Role::Stopped => None,
        }
    }

    /// The role ends for this reason.
    pub(super) fn note_end_of_role(&mut self, now: Now, reason: Reason) {
        if reason == Reason::DisloyalVoter {
            self.figures.counts.disloyal_voters += 1;
        }
        let syncs = added(self.figures.counts.syncs, self.serving_master());
        self.figures.role_ended(now, syncs);
    }

    /// A transaction came from the leader. What comes before this server serves is not measured.
    pub(super) fn note_learned(&mut self, now: Now, entry: &LogEntry) {
        if let Role::Learning(learner) = &self.role
            && learner.stage() == Stage::Serving
        {
            self.figures.learned(now, entry.header.zxid, entry.header.time, learner.follows());
        }
    }

    /// The learner whose leader has just said something.
    pub(super) fn note_leaders_word(&mut self, now: Now, kind: Option<PacketType>) {
        let Role::Learning(learner) = &self.role else { return };
        match learner.stage() {
            Stage::Connecting | Stage::Introduced => {}
            Stage::Serving => {
                if let Some(kind) = kind.filter(|kind| counts_for(learner, *kind)) {
                    self.figures.received(kind);
                }
            }
            _ => self.figures.knows_epoch(now),
        }
    }
}

/// A follower is sent proposals and their commits, an observer both in one.
fn counts_for(learner: &Learner, kind: PacketType) -> bool {
    learner.follows() == matches!(kind, PacketType::Proposal | PacketType::Commit)
}

#[cfg(test)]
mod tests;
