//! One server, and short words for what it hears and says.

use bytes::BytesMut;
use rookeeper_protocol::peer::{Notification, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

use crate::election::{Decision, Election, ElectionOutput, Standing, Timing, Vote};
use crate::ensemble::{ConfigRules, EnsembleConfig, Membership};

pub(super) const RULES: ConfigRules = ConfigRules { multi_address: false, standalone_enabled: true };

pub(super) const THREE: &str = "server.1=a:1:2\nserver.2=b:1:2\nserver.3=c:1:2\nversion=10";

/// What a server says or does. Votes are `(leader, epoch, zxid, round)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    To(i64, PeerState, (i64, i64, i64, i64)),
    Decided(PeerState, (i64, i64, i64, i64)),
    VoterLooks(i64),
    Activated { members_changed: bool },
}

pub(super) fn vote((leader, peer_epoch, zxid, round): (i64, i64, i64, i64)) -> Vote {
    Vote { leader: ServerId(leader), peer_epoch, zxid: Zxid(zxid), round }
}

pub(super) fn words(vote: Vote) -> (i64, i64, i64, i64) {
    (vote.leader.0, vote.peer_epoch, vote.zxid.0, vote.round)
}

pub(super) struct Server {
    pub(super) election: Election,
    pub(super) membership: Membership,
    pub(super) now_ms: i64,
}

impl Server {
    /// A server of this list, at time 0.
    pub(super) fn new(id: i64, text: &str) -> Self {
        let config = EnsembleConfig::parse(text, RULES).unwrap();
        let membership = Membership::new(ServerId(id), config, None, RULES, true);
        let standing = Standing { zxid: Zxid(0), epoch: 0 };
        Self { election: Election::new(ServerId(id), standing, Timing::default()), membership, now_ms: 0 }
    }

    /// Server `id` of three that looks for a leader in round 1 with zxid 5 of epoch 0.
    pub(super) fn looking(id: i64) -> Self {
        let mut server = Self::new(id, THREE);
        server.look(0, 5);
        server
    }

    /// A server of three that has decided for server 3 in round 1.
    pub(super) fn decided(id: i64) -> Self {
        let mut server = Self::looking(id);
        for from in [1, 2, 3] {
            server.hear(from, PeerState::Looking, (3, 0, 5, 1));
        }
        assert_ne!(server.election.state(), PeerState::Looking);
        server
    }

    /// In words. A voter's decision is told to all other voters: that they are is asserted, and passed over.
    fn said(&self, out: Vec<ElectionOutput>) -> Vec<Said> {
        let told = |output: ElectionOutput| match output {
            ElectionOutput::Send { to, message } => {
                let notification = Notification::read(&message).unwrap();
                assert_eq!(notification.version, 2);
                let state = PeerState::from_number(notification.state).unwrap();
                Said::To(to.0, state, words(Vote::of(&notification)))
            }
            ElectionOutput::Decided(Decision { vote, state }) => Said::Decided(state, words(vote)),
            ElectionOutput::VoterLooks(id) => Said::VoterLooks(id.0),
            ElectionOutput::Activated(told) => Said::Activated { members_changed: told.members_changed },
        };
        let mut said: Vec<Said> = out.into_iter().map(told).collect();
        let decided = said.iter().position(|said| matches!(said, Said::Decided(..)));
        let (my_id, voters) = (self.membership.my_id(), self.membership.voters());
        if let Some(at) = decided.filter(|_| voters.contains(&my_id)) {
            let Said::Decided(state, vote) = said[at] else { unreachable!() };
            for id in voters.iter().filter(|id| **id != my_id) {
                let told = said[at..].iter().position(|said| *said == Said::To(id.0, state, vote));
                said.remove(at + told.unwrap());
            }
        }
        said
    }

    pub(super) fn look(&mut self, epoch: i64, zxid: i64) -> Vec<Said> {
        let mut out = Vec::new();
        self.election.look(self.now_ms, Standing { zxid: Zxid(zxid), epoch }, &self.membership, &mut out);
        self.said(out)
    }

    /// A notification with this server's own list of members.
    pub(super) fn hear(&mut self, from: i64, state: PeerState, vote: (i64, i64, i64, i64)) -> Vec<Said> {
        let text = self.membership.active_text().to_owned();
        self.hear_config(from, state, vote, &text)
    }

    pub(super) fn hear_config(
        &mut self,
        from: i64,
        state: PeerState,
        (leader, peer_epoch, zxid, round): (i64, i64, i64, i64),
        config: &str,
    ) -> Vec<Said> {
        let notification = Notification {
            state: state.number(),
            leader: ServerId(leader),
            zxid: Zxid(zxid),
            election_epoch: round,
            peer_epoch,
            version: 2,
            config: Some(config.into()),
        };
        let mut message = BytesMut::new();
        notification.write(&mut message);
        self.hear_bytes(from, &message).unwrap()
    }

    /// What a message is answered; `None` if it is no message.
    pub(super) fn hear_bytes(&mut self, from: i64, message: &[u8]) -> Option<Vec<Said>> {
        let mut out = Vec::new();
        self.election.on_message(self.now_ms, ServerId(from), message, &mut self.membership, &mut out).ok()?;
        Some(self.said(out))
    }

    pub(super) fn unreachable(&mut self, id: i64) -> Vec<Said> {
        let mut out = Vec::new();
        self.election.on_unreachable(self.now_ms, ServerId(id), &self.membership, &mut out);
        self.said(out)
    }

    /// Lets the time pass to the next deadline.
    pub(super) fn timeout(&mut self) -> Vec<Said> {
        self.now_ms = self.election.next_deadline_ms().unwrap();
        self.timeout_now()
    }

    pub(super) fn timeout_now(&mut self) -> Vec<Said> {
        let mut out = Vec::new();
        self.election.on_timeout(self.now_ms, &self.membership, &mut out);
        self.said(out)
    }
}
