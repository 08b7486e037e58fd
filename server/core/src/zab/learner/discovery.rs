//! Discovery: the learner finds its leader and accepts its epoch (`Learner#connectToLeader`, `#registerWithLeader`).

use std::collections::VecDeque;

use bytes::BytesMut;
use rookeeper_protocol::peer::{AckEpoch, LearnerInfo, PacketType, QuorumPacket};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::{Learner, Stage};
use crate::zab::action::{Action, DialId, Reason};
use crate::zab::epoch::{Epoch, Offer};
use crate::zab::state::State;

/// Java tries five times, a tenth of a second apart: so long a leader has time to open its port.
const CONNECT_TRIES_MS: i64 = 500;

/// The pause before the second attempt in milliseconds; each pause is twice the one before.
const FIRST_PAUSE_MS: i64 = 10;

/// The longest pause between attempts in milliseconds (`zookeeper.leaderConnectDelayDuringRetryMs`).
const PAUSE_MAX_MS: i64 = 100;

/// What the leader is told in the place of a last zxid by a learner that needs a snapshot: no log reaches back to it.
const SNAPSHOT_WANTED: Zxid = Zxid(-2);

/// Whom a learner connects to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target {
    /// Who leads.
    pub leader: ServerId,
    /// The follower, or the leader itself, at whose port for observers it connects instead; none for the leader's own port.
    pub master: Option<ServerId>,
    /// Whether it follows; otherwise it observes.
    pub follows: bool,
    /// The number of the first attempt, behind which all others come.
    pub dial: DialId,
    /// The pause before the first attempt in milliseconds (`observer.reconnectDelayMs`).
    pub delay_ms: i64,
}

/// The attempts to connect.
#[derive(Debug)]
pub(super) struct Connecting {
    /// No attempt begins later, in monotonic milliseconds.
    last_try_ms: i64,
    /// No attempt takes longer, in monotonic milliseconds.
    deadline_ms: i64,
    /// When the next attempt begins, in monotonic milliseconds, while none is under way.
    redial_ms: Option<i64>,
    pause_ms: i64,
}

impl Connecting {
    pub(super) fn next_deadline_ms(&self) -> i64 {
        self.redial_ms.unwrap_or(self.deadline_ms)
    }
}

impl Learner {
    /// Somebody else was elected. The first attempt to connect is made at once, or after the delay.
    pub fn new(state: &State, now_ms: i64, target: Target, actions: &mut Vec<Action>) -> Self {
        let Target { leader, master, follows, dial, delay_ms } = target;
        let timeout_ms = state.rules.connect_ms();
        let begin_ms = now_ms + delay_ms;
        let learner = Self {
            leader,
            master,
            follows,
            dial,
            stage: Stage::Connecting,
            epoch: Epoch::default(),
            old_protocol: false,
            sync_mode: None,
            heard_ms: now_ms,
            connecting: Connecting {
                last_try_ms: begin_ms + CONNECT_TRIES_MS.min(timeout_ms),
                deadline_ms: begin_ms + timeout_ms,
                redial_ms: (delay_ms > 0).then_some(begin_ms),
                pause_ms: FIRST_PAUSE_MS,
            },
            uncommitted: VecDeque::new(),
            unacknowledged: VecDeque::new(),
            told_committed: Zxid::ZERO,
            replaced: None,
            observers: None,
        };
        if delay_ms == 0 {
            actions.push(learner.dial_for(timeout_ms));
        }
        learner
    }

    fn dial_for(&self, timeout_ms: i64) -> Action {
        let dial = self.dial;
        match self.master {
            None => Action::Dial { dial, to: self.leader, timeout_ms },
            Some(to) => Action::DialObserverMaster { dial, to, timeout_ms },
        }
    }

    /// An attempt failed; the next one comes after a pause.
    pub(super) fn redial(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        let connecting = &mut self.connecting;
        let at_ms = now_ms + connecting.pause_ms;
        if at_ms > connecting.last_try_ms {
            return actions.push(Action::Leave(Reason::Unreachable));
        }
        connecting.pause_ms = (connecting.pause_ms * 2).min(PAUSE_MAX_MS);
        connecting.redial_ms = Some(at_ms);
    }

    pub(super) fn on_connecting_timeout(&mut self, now_ms: i64, actions: &mut Vec<Action>) {
        let timeout_ms = self.connecting.deadline_ms - now_ms;
        if self.connecting.redial_ms.take().is_none() || timeout_ms <= 0 {
            return actions.push(Action::Leave(Reason::Unreachable));
        }
        self.dial = DialId(self.dial.0 + 1);
        actions.push(self.dial_for(timeout_ms));
    }

    /// The connection stands: the learner says who it is.
    // zab: ConnectAndFollowerSendFOLLOWERINFO
    pub fn on_connected(&mut self, state: &State, now_ms: i64, actions: &mut Vec<Action>) {
        if self.stage != Stage::Connecting {
            return;
        }
        self.stage = Stage::Introduced;
        self.heard_ms = now_ms;
        let packet_type = if self.follows { PacketType::FollowerInfo } else { PacketType::ObserverInfo };
        let membership = &state.membership;
        let mut out = BytesMut::new();
        LearnerInfo::new(membership.my_id(), membership.active().version).write_packet(
            &mut out,
            packet_type,
            state.epochs.accepted.start(),
        );
        actions.push(Action::ToLeader(out.freeze()));
    }

    // zab: FollowerProcessLEADERINFO
    pub(super) fn on_first_packet(&mut self, state: &mut State, packet: &QuorumPacket, actions: &mut Vec<Action>) {
        let Some(epoch) = Epoch::of(packet.zxid) else {
            return actions.push(Action::Leave(Reason::BadPacket));
        };
        let old_protocol = match packet.kind() {
            Some(PacketType::LeaderInfo) => false,
            // Before ZooKeeper 3.4 the epoch came with NEWLEADER, and was not acknowledged.
            Some(PacketType::NewLeader) => true,
            _ => return actions.push(Action::Leave(Reason::BadPacket)),
        };
        self.epoch = epoch;
        self.old_protocol = old_protocol;
        match state.epochs.judge(epoch) {
            // The promise of a server without a vote binds nobody; it follows whoever has a quorum. But whoever led the
            // epoch whose history it took over had one too.
            Offer::Old if !self.follows && epoch >= state.epochs.current => {
                self.acknowledge_epoch(state, None, actions);
            }
            Offer::Old => actions.push(Action::Leave(Reason::OldEpoch)),
            Offer::Known => self.acknowledge_epoch(state, None, actions),
            Offer::New if planted!(EpochNotPersisted) => {
                state.epochs.accepted = epoch;
                self.acknowledge_epoch(state, Some(state.epochs.current), actions);
            }
            Offer::New => {
                self.stage = Stage::Accepting;
                state.epochs.accepted = epoch;
                actions.push(Action::PersistEpochs(state.epochs));
            }
        }
    }

    /// The promise is on disk, and so is all that was logged before it.
    pub(super) fn epoch_accepted(&mut self, state: &State, actions: &mut Vec<Action>) {
        self.acknowledge_epoch(state, Some(state.epochs.current), actions);
    }

    fn acknowledge_epoch(&mut self, state: &State, current: Option<Epoch>, actions: &mut Vec<Action>) {
        self.stage = Stage::Awaiting;
        if self.old_protocol {
            return;
        }
        // A follower's log must be whole.
        let wants_snapshot = state.wants_snapshot || (self.follows && state.is_ahead_of_log);
        let last_logged = match (state.is_unknown, wants_snapshot) {
            (true, _) => Zxid::UNKNOWN,
            (false, true) => SNAPSHOT_WANTED,
            (false, false) => state.last_logged(),
        };
        let mut out = BytesMut::new();
        AckEpoch { current_epoch: current.map(|epoch| epoch.0) }.write_packet(&mut out, last_logged);
        actions.push(Action::ToLeader(out.freeze()));
    }
}
