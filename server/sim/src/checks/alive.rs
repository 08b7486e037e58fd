//! Signs of life: no session is ended before its time has passed since the last one that is known to have come to whoever ends
//! it.
//!
//! A sign of life counts for the leader when it said it itself, or when the answer to a ping has come that a learner gave
//! behind it; by the leader's own clock, so that drifting clocks make no difference. Another leader gives every session its
//! time anew.

use std::collections::{BTreeMap, VecDeque};

use rookeeper_protocol::types::SessionId;

use super::{Failed, Ledger, ensure};
use crate::network::PipeId;

/// Sessions with their timeouts in milliseconds.
type Timeouts = BTreeMap<SessionId, i32>;

/// What one member has heard since it serves.
#[derive(Debug, Default)]
struct Ear {
    /// Since when it leads, by its clock, if it does.
    leads_from_ms: Option<i64>,
    /// Until when a session lives at least by what this member, as the leader, knows; by its clock.
    until_ms: BTreeMap<SessionId, i64>,
    /// The same for the sessions of its own clients, by what they have said here.
    own_until_ms: BTreeMap<SessionId, i64>,
    /// Whose clients gave a sign of life since the leader was told last.
    untold: Timeouts,
}

/// Who gave a sign of life, and who heard of it.
#[derive(Debug, Default)]
pub(crate) struct Alive {
    ears: BTreeMap<i64, Ear>,
    /// What the answers to pings tell that are on their way on a connection.
    told: BTreeMap<PipeId, VecDeque<Timeouts>>,
}

impl Alive {
    /// A member begins to serve; `leads_from_ms` is its clock if it leads.
    pub(crate) fn serves(&mut self, member: i64, leads_from_ms: Option<i64>) {
        self.ears.insert(member, Ear { leads_from_ms, ..Ear::default() });
    }

    /// A member serves no more.
    pub(crate) fn ends(&mut self, member: i64) {
        self.ears.remove(&member);
    }

    /// A client has said something to its member.
    pub(crate) fn hears(&mut self, member: i64, session: SessionId, timeout_ms: i32, now_ms: i64) {
        let Some(ear) = self.ears.get_mut(&member) else { return };
        prolong(&mut ear.until_ms, session, timeout_ms, now_ms);
        prolong(&mut ear.own_until_ms, session, timeout_ms, now_ms);
        ear.untold.insert(session, timeout_ms);
    }

    /// What a client asked for ends its session, perhaps later, and whatever it says until then.
    pub(crate) fn asked_to_end(&mut self, member: i64, session: SessionId) {
        if let Some(ear) = self.ears.get_mut(&member) {
            ear.own_until_ms.insert(session, i64::MIN);
        }
    }

    /// A learner answers a ping, on this connection.
    pub(crate) fn tells(&mut self, member: i64, pipe: PipeId) {
        let untold = self.ears.get_mut(&member).map(|ear| std::mem::take(&mut ear.untold));
        self.told.entry(pipe).or_default().push_back(untold.unwrap_or_default());
    }

    /// The answer has come. A follower between an observer and the leader tells it on.
    pub(crate) fn is_told(&mut self, member: i64, pipe: PipeId, now_ms: i64) {
        let Some(told) = self.told.get_mut(&pipe).and_then(VecDeque::pop_front) else { return };
        let Some(ear) = self.ears.get_mut(&member) else { return };
        if ear.leads_from_ms.is_some() {
            for (session, timeout_ms) in told {
                prolong(&mut ear.until_ms, session, timeout_ms, now_ms);
            }
        } else {
            ear.untold.extend(told);
        }
    }

    /// A connection between servers is gone.
    pub(crate) fn gone(&mut self, pipe: PipeId) {
        self.told.remove(&pipe);
    }

    /// A leader proposes a session.
    pub(crate) fn begins(&mut self, member: i64, session: SessionId, timeout_ms: i32, now_ms: i64) {
        if let Some(ear) = self.ears.get_mut(&member) {
            ear.until_ms.insert(session, now_ms + i64::from(timeout_ms));
        }
    }

    /// A leader proposes the end of a session that nobody has asked for.
    pub(crate) fn expires(&self, member: i64, session: SessionId, now_ms: i64, ledger: &Ledger) -> Result<(), Failed> {
        let Some(ear) = self.ears.get(&member) else { return Ok(()) };
        let heard_ms = ear.until_ms.get(&session).copied();
        // A session that is over may have left znodes behind in a snapshot: its leader ends it once more.
        let life = ledger.sessions.get(&session).filter(|life| life.closed.is_none());
        let led_ms = life.zip(ear.leads_from_ms).map(|(life, from_ms)| from_ms + i64::from(life.timeout_ms));
        let until_ms = heard_ms.max(led_ms);
        ensure(until_ms.is_none_or(|until_ms| now_ms >= until_ms), "no session expires before its time", || {
            format!("server {member} ends {session} at {now_ms} ms of its clock, and not at {until_ms:?}")
        })
    }

    /// A server says that a session is over which nobody else knows.
    pub(crate) fn is_over(&self, member: i64, session: SessionId, now_ms: i64) -> Result<(), Failed> {
        let until_ms = self.ears.get(&member).and_then(|ear| ear.own_until_ms.get(&session)).copied();
        ensure(until_ms.is_none_or(|until_ms| now_ms >= until_ms), "no local session expires before its time", || {
            format!("server {member} has ended {session} at {now_ms} ms of its clock, and not at {until_ms:?}")
        })
    }
}

/// A sign of life. One that comes too late says nothing: the session may be over by then, or not.
fn prolong(until_ms: &mut BTreeMap<SessionId, i64>, session: SessionId, timeout_ms: i32, now_ms: i64) {
    let until = until_ms.entry(session).or_insert(i64::MAX);
    if now_ms < *until {
        *until = now_ms + i64::from(timeout_ms);
    }
}
