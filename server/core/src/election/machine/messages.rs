//! What a message from another server changes (`WorkerReceiver.run`, and the loop of `lookForLeader`).

use rookeeper_protocol::jute::DecodeError;
use rookeeper_protocol::peer::{Notification, PeerState};
use rookeeper_protocol::types::{ServerId, Zxid};

use super::{Election, ElectionOutput, own_vote};
use crate::election::tally::Tally;
use crate::election::vote::{Ballot, Vote};
use crate::ensemble::{EnsembleConfig, Membership};

/// A vote, and whose it is.
#[derive(Debug, Clone, Copy)]
struct Heard {
    from: ServerId,
    ballot: Ballot,
}

impl Election {
    /// A message came (`WorkerReceiver.run`). An error means that it is none, and was passed over.
    // zab: FLEReceiveNotmsg
    pub fn on_message(
        &mut self,
        now_ms: i64,
        from: ServerId,
        message: &[u8],
        membership: &mut Membership,
        out: &mut Vec<ElectionOutput>,
    ) -> Result<(), DecodeError> {
        let notification = Notification::read(message)?;
        self.on_connected(from);
        if self.adopt_config(&notification, membership, out) {
            self.current = own_vote(membership.my_id(), self.standing, -1);
            self.look(now_ms, self.standing, membership, out);
            return Ok(());
        }
        if !membership.voters().contains(&from) {
            self.answer_voteless(now_ms, from, membership, out);
            return Ok(());
        }
        let Some(state) = PeerState::from_number(notification.state) else {
            return Ok(());
        };
        let ballot = Ballot { vote: Vote::of(&notification), state, version: notification.version };
        if self.state == PeerState::Looking {
            self.count(now_ms, Heard { from, ballot }, membership, out);
        } else if state == PeerState::Looking {
            if self.state == PeerState::Leading {
                out.push(ElectionOutput::VoterLooks(from));
            }
            self.answer(from, self.current, membership, out);
        }
        Ok(())
    }

    /// An observer, or one that no list names, is told what was decided last, whatever it says.
    fn answer_voteless(&mut self, now_ms: i64, from: ServerId, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        let looking = self.state == PeerState::Looking;
        if self.voteless.asks(from, now_ms, self.timing.interval_ms_min, looking) {
            let vote = Vote { round: self.round, ..self.current };
            self.answer(from, vote, membership, out);
        }
    }

    /// Takes over a newer list of members while it looks. True if the ensemble is another one now.
    ///
    /// With `reconfigEnabled=false` Java begins the election anew with each such message and ends it never; here
    /// the list is passed over.
    fn adopt_config(
        &self,
        notification: &Notification<'_>,
        membership: &mut Membership,
        out: &mut Vec<ElectionOutput>,
    ) -> bool {
        let Some(text) = &notification.config else { return false };
        let known = **text == *membership.active_text();
        if known || self.state != PeerState::Looking || !membership.reconfig_enabled() {
            return false;
        }
        // A list that cannot be read does not make the vote wrong.
        let Ok(config) = EnsembleConfig::parse(text, membership.rules()) else { return false };
        let Some(activation) = membership.activate(config, self.current.leader, None) else { return false };
        let other = activation.members_changed;
        out.push(ElectionOutput::Activated(activation));
        other
    }

    /// A voter's vote, while this server looks (the loop of `lookForLeader`).
    // zab: FLEHandleNotmsg
    fn count(&mut self, now_ms: i64, heard: Heard, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        let Heard { from, ballot } = heard;
        let vote = ballot.vote;
        if ballot.state == PeerState::Looking && vote.round < self.round {
            self.answer(from, self.proposal, membership, out);
        }
        // An observer's or a newcomer's own vote names nobody.
        if !membership.voters().contains(&vote.leader) {
            return;
        }
        match ballot.state {
            PeerState::Looking => self.count_looking(now_ms, heard, membership, out),
            PeerState::Following | PeerState::Leading => self.count_decided(now_ms, heard, membership, out),
            PeerState::Observing => {}
        }
    }

    fn count_looking(&mut self, now_ms: i64, heard: Heard, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        let Heard { from, ballot: Ballot { vote, .. } } = heard;
        if self.initial_vote(membership).zxid == Zxid::UNKNOWN || vote.zxid == Zxid::UNKNOWN || vote.round < self.round
        {
            return;
        }
        let quorum = membership.quorums().active();
        if vote.round > self.round {
            self.begin_round(vote.round, Some(vote), now_ms, membership, out);
        } else if vote.beats(&self.proposal, quorum) {
            self.propose(vote, membership);
            self.notify_all(now_ms, membership, out);
        } else if self.proposal.beats(&vote, quorum) {
            // Java leaves this one alone until the next repetition. It may have begun to look after this server
            // sent its vote, and then would wait for no reason.
            self.answer(from, self.proposal, membership, out);
        }
        self.received.record(from, Ballot::looking(vote));
        self.settle(now_ms, membership, out);
    }

    /// The vote of one that has decided: a quorum of such votes is an ensemble to join, if its leader says the
    /// same (`receivedFollowingNotification`).
    fn count_decided(&mut self, now_ms: i64, heard: Heard, membership: &Membership, out: &mut Vec<ElectionOutput>) {
        let Heard { from, ballot } = heard;
        let vote = ballot.vote;
        if vote.round == self.round {
            self.received.record(from, ballot);
            let decides = self.received.decides(&ballot, membership.quorums());
            if decides && self.is_leader(&self.received, vote, membership) {
                return self.decide(vote, membership, out);
            }
        }
        let news = self.decided.record(from, ballot);
        let decided = self.decided.tells_of_ensemble(&ballot, membership.quorums());
        if decided && self.is_leader(&self.decided, vote, membership) {
            self.round = vote.round;
            self.decide(vote, membership, out);
            return;
        }
        if news && ballot.state == PeerState::Leading {
            // What others have said may be from before this leader. Java asks them again when it is time to.
            self.interval_ms = self.timing.interval_ms_min;
            self.notify_at_ms = self.notify_at_ms.min(now_ms.saturating_add(self.interval_ms));
        }
        self.settle(now_ms, membership, out);
    }

    /// Whether the one voted for surely leads (`checkLeader`): it says so, or it is this very server.
    ///
    /// Then the votes must be for what this server offers now. Java compares the round only, so that a leader that
    /// was killed and is back at once can be made leader by followers that have not noticed.
    fn is_leader(&self, votes: &Tally, vote: Vote, membership: &Membership) -> bool {
        if vote.leader == membership.my_id() {
            vote == Vote { round: self.round, ..self.initial_vote(membership) }
        } else {
            votes.says_it_leads(vote.leader)
        }
    }
}
