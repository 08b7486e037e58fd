//! The election itself (`FastLeaderElection.lookForLeader`): rounds, waits, and what is sent. What a message changes is
//! in `machine/messages.rs`.
//!
//! ```text
//!               look                          a quorum, and nobody better to wait for
//!   (decided) --------> LOOKING -----------------------------------------------------> LEADING
//!       ^                |   ^                                                         FOLLOWING
//!       |                |   | a newer round, a better vote, another list of members   OBSERVING
//!       |                +---+                                                             |
//!       +----------------------------------------------------------------------------------+
//! ```
//!
//! Every change of mind is sent to all voters, and so is the decision. Who is not looking answers those who are.

mod messages;

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use rookeeper_protocol::peer::{Notification, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::tally::Tally;
use super::vote::{Ballot, Vote};
use super::voteless::Voteless;
use crate::ensemble::{Activation, Membership, Role};

/// How long a quorum waits for a better vote, in milliseconds (`FastLeaderElection.finalizeWait`).
pub const FINALIZE_WAIT_MS: i64 = 200;

/// What stands in the place of its own number where a server cannot be elected (`FastLeaderElection.getInitId`).
const NOBODY: ServerId = ServerId(i64::MIN);

/// How often a server that looks for a leader repeats its vote, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// The first wait (`fastleader.minNotificationInterval`). Java asks without a pause where it is not above 0;
    /// here it is 1 then.
    pub interval_ms_min: i64,
    /// The longest; each wait is twice the one before (`fastleader.maxNotificationInterval`).
    pub interval_ms_max: i64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { interval_ms_min: FINALIZE_WAIT_MS, interval_ms_max: 60_000 }
    }
}

/// What a server has when it stands for election.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its last logged transaction; [`Zxid::UNKNOWN`] of a server that neither votes nor is voted for, since its data are
    /// not known to be complete.
    pub zxid: Zxid,
    /// Its current epoch.
    pub epoch: i64,
}

/// What a server has decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Decision {
    /// Whom it follows, itself included.
    pub vote: Vote,
    /// What it does from now on: never [`PeerState::Looking`].
    pub state: PeerState,
}

/// Something to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ElectionOutput {
    /// Send a message, a newer one in the place of one that waits. A connection is made if there is none.
    Send {
        /// To whom; never to itself.
        to: ServerId,
        /// A notification.
        message: Bytes,
    },
    /// The election is over.
    Decided(Decision),
    /// Another server knew a newer list of members, which is in force from now on. It is to be written.
    Activated(Activation),
    /// A voter looks for a leader, although this server leads (`Leader.reportLookingSid`).
    VoterLooks(ServerId),
}

/// One server's part in elections.
#[derive(Debug, Clone)]
pub struct Election {
    timing: Timing,
    state: PeerState,
    standing: Standing,
    /// Java's logicalclock.
    round: i64,
    /// What this server votes for while it looks.
    proposal: Vote,
    /// What it last decided; before the first election, itself (`QuorumPeer.currentVote`).
    current: Vote,
    /// Votes of this round.
    received: Tally,
    /// Votes of those that have decided, in whatever round (Java's outofelection).
    decided: Tally,
    /// Voters that nobody can connect to at present.
    unreachable: BTreeSet<ServerId>,
    voteless: Voteless,
    interval_ms: i64,
    notify_at_ms: i64,
    finalize_at_ms: Option<i64>,
}

impl Election {
    /// A server that has just started; [`look`](Self::look) comes next.
    pub fn new(my_id: ServerId, standing: Standing, timing: Timing) -> Self {
        let timing = Timing { interval_ms_min: timing.interval_ms_min.max(1), ..timing };
        let vote = own_vote(my_id, standing, 0);
        Self {
            timing,
            state: PeerState::Looking,
            standing,
            round: 0,
            proposal: vote,
            current: Vote { round: -1, ..vote },
            received: Tally::default(),
            decided: Tally::default(),
            unreachable: BTreeSet::new(),
            voteless: Voteless::default(),
            interval_ms: timing.interval_ms_min,
            notify_at_ms: i64::MAX,
            finalize_at_ms: None,
        }
    }

    /// What this server is doing, as far as elections know.
    pub fn state(&self) -> PeerState {
        self.state
    }

    /// The round that it is in, or was in last.
    pub fn round(&self) -> i64 {
        self.round
    }

    /// What it last decided, itself before that.
    pub fn current_vote(&self) -> Vote {
        self.current
    }

    /// When [`on_timeout`](Self::on_timeout) has something to do (monotonic milliseconds).
    pub fn next_deadline_ms(&self) -> Option<i64> {
        let looking = self.state == PeerState::Looking && self.notify_at_ms != i64::MAX;
        looking.then(|| self.finalize_at_ms.map_or(self.notify_at_ms, |at_ms| at_ms.min(self.notify_at_ms)))
    }

    /// Begins an election (`lookForLeader`): at the start, and whenever a leader is lost.
    pub fn look(&mut self, now_ms: i64, standing: Standing, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        self.state = PeerState::Looking;
        self.standing = standing;
        // Who was away in an earlier election may be back.
        self.unreachable.clear();
        self.decided.clear();
        self.interval_ms = self.timing.interval_ms_min;
        self.begin_round(self.round.wrapping_add(1), None, now_ms, membership, out);
        self.settle(now_ms, membership, out);
    }

    /// The leader's epoch is this server's now: who joins later must hear the same epoch from all
    /// (`QuorumPeer.updateElectionVote`, ZOOKEEPER-1732).
    pub fn on_epoch(&mut self, epoch: i64) {
        self.current.peer_epoch = epoch;
    }

    /// A reconfiguration has named the leader (`QuorumPeer.updateVote`). True if it is another one.
    pub fn on_designated(&mut self, leader: ServerId, zxid: Zxid) -> bool {
        let other = leader != self.current.leader;
        if other {
            self.current = Vote { leader, zxid, peer_epoch: -1, round: -1 };
        }
        other
    }

    /// Goes on with the current vote and no election, after a reconfiguration that named the leader or changed
    /// this server's role (`QuorumPeer.updateServerState`).
    pub fn resume(&mut self, membership: &Membership) -> PeerState {
        self.state = state_under(self.current.leader, membership);
        self.state
    }

    /// Nobody answers where this server should be: the last attempt to connect to it failed.
    pub fn on_unreachable(
        &mut self,
        now_ms: i64,
        id: ServerId,
        membership: &Membership,
        out: &mut Vec<ElectionOutput>,
    ) {
        // Only voters, so that the set is as small as the ensemble.
        if membership.voters().contains(&id) {
            self.unreachable.insert(id);
            self.settle(now_ms, membership, out);
        }
    }

    /// There is a connection with this server.
    pub fn on_connected(&mut self, id: ServerId) {
        self.unreachable.remove(&id);
    }

    /// The time that [`next_deadline_ms`](Self::next_deadline_ms) told has come. Harmless at any other time.
    ///
    /// Java connects anew instead of repeating its vote where no message at all went out. Here a message that
    /// waits for a connection makes one, and repeating the vote changes nothing about it.
    // zab: FLENotmsgTimeout, FLEWaitNewNotmsg
    pub fn on_timeout(&mut self, now_ms: i64, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        if self.state != PeerState::Looking {
            return;
        }
        if self.finalize_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
            self.decide(self.proposal, membership, out);
        } else if self.notify_at_ms <= now_ms {
            self.interval_ms = self.interval_ms.saturating_mul(2).min(self.timing.interval_ms_max);
            self.notify_all(now_ms, membership, out);
        }
    }

    /// Ends the election once a quorum agrees and nobody could bring a better vote.
    ///
    /// Each vote of a round began as somebody's own. Who was heard in this round has voted for at least its own
    /// one, or has decided, so once all were heard the best is known; and who cannot be reached brings none.
    /// Where neither is sure, a quorum waits as long as Java does.
    fn settle(&mut self, now_ms: i64, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        if self.state != PeerState::Looking {
            return;
        }
        let is_known = |id: &ServerId| self.received.heard(*id) || self.unreachable.contains(id);
        if !self.received.decides(&Ballot::looking(self.proposal), membership.quorums()) {
            self.finalize_at_ms = None;
        } else if membership.voters().iter().all(is_known) {
            self.decide(self.proposal, membership, out);
        } else if self.finalize_at_ms.is_none() {
            self.finalize_at_ms = Some(now_ms.saturating_add(FINALIZE_WAIT_MS));
        }
    }

    /// Votes anew: for itself, or for the vote that made it begin, if that is better.
    fn begin_round(
        &mut self,
        round: i64,
        vote: Option<Vote>,
        now_ms: i64,
        membership: &Membership,
        out: &mut Vec<ElectionOutput>,
    ) {
        self.round = round;
        self.received.clear();
        self.finalize_at_ms = None;
        let own = self.initial_vote(membership);
        let better = vote.filter(|vote| vote.beats(&own, membership.quorums().active()));
        self.propose(better.unwrap_or(own), membership);
        self.notify_all(now_ms, membership, out);
    }

    /// Its own vote is counted at once; Java sends it to itself.
    fn propose(&mut self, vote: Vote, membership: &Membership) {
        self.proposal = Vote { round: self.round, ..vote };
        let (my_id, voters) = (membership.my_id(), membership.voters());
        if self.standing.zxid != Zxid::UNKNOWN && voters.contains(&my_id) && voters.contains(&vote.leader) {
            self.received.record(my_id, Ballot::looking(self.proposal));
        }
    }

    /// What a server votes for at first (`getInitId`, `getInitLastLoggedZxid`, `getPeerEpoch`): itself, if it may
    /// lead; an observer for less than anybody.
    fn initial_vote(&self, membership: &Membership) -> Vote {
        let my_id = membership.my_id();
        let leader = if membership.active().is_voter(my_id) { my_id } else { NOBODY };
        match membership.next_role() {
            Role::Participant => own_vote(leader, self.standing, self.round),
            Role::Observer => Vote { leader, zxid: Zxid(i64::MIN), peer_epoch: i64::MIN, round: self.round },
        }
    }

    fn decide(&mut self, vote: Vote, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        self.state = state_under(vote.leader, membership);
        self.current = vote;
        self.finalize_at_ms = None;
        out.push(ElectionOutput::Decided(Decision { vote, state: self.state }));
        // Java waits until it is asked, which may be a minute later: by one who has heard of votes only, or who
        // was not there yet.
        let mut told: BTreeSet<ServerId> = self.voteless.take_waiting().collect();
        if membership.voters().contains(&membership.my_id()) {
            told.extend(membership.voters());
        }
        self.send(told.iter(), vote, membership, out);
    }

    fn notify_all(&mut self, now_ms: i64, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        self.notify_at_ms = now_ms.saturating_add(self.interval_ms);
        self.send(membership.voters().iter(), self.proposal, membership, out);
    }

    /// Sends a vote to others; it has counted its own without a message.
    fn send<'a>(
        &self,
        to: impl Iterator<Item = &'a ServerId>,
        vote: Vote,
        membership: &Membership,
        out: &mut Vec<ElectionOutput>,
    ) {
        let message = self.message(vote, membership);
        let others = to.filter(|id| **id != membership.my_id());
        out.extend(others.map(|to| ElectionOutput::Send { to: *to, message: message.clone() }));
    }

    fn answer(&self, to: ServerId, vote: Vote, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        self.send([to].iter(), vote, membership, out);
    }

    fn message(&self, vote: Vote, membership: &Membership) -> Bytes {
        let Vote { leader, zxid, peer_epoch, round } = vote;
        let mut message = BytesMut::new();
        let config = Some(membership.active_text().into());
        let state = self.state.number();
        Notification { state, leader, zxid, election_epoch: round, peer_epoch, version: 2, config }.write(&mut message);
        message.freeze()
    }
}

fn own_vote(leader: ServerId, standing: Standing, round: i64) -> Vote {
    Vote { leader, zxid: standing.zxid, peer_epoch: standing.epoch, round }
}

/// `FastLeaderElection.learningState`, and LEADING for the leader itself.
fn state_under(leader: ServerId, membership: &Membership) -> PeerState {
    match membership.next_role() {
        _ if leader == membership.my_id() => PeerState::Leading,
        Role::Participant => PeerState::Following,
        Role::Observer => PeerState::Observing,
    }
}

#[cfg(test)]
mod tests;
