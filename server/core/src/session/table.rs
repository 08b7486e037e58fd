//! All sessions, and the buckets in which they wait to expire.
//!
//! ```text
//!   (none) --create--> open --close asked for, or silent too long--> closing --applied--> (none)
//! ```
//!
//! Java moves a session to another bucket with each request. Here a connection notes when it last heard of
//! its client, and the table asks when a bucket is due: the session expires in the same bucket, and a request
//! costs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};

use rookeeper_protocol::types::{ErrorCode, SessionId};

use crate::watch::ConnId;

/// The server through which a session's client comes, as the leader of an ensemble knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// This one.
    Here,
    /// The learner on this connection; another connection is another owner.
    Learner(u64),
}

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Session {
    /// The timeout in its createSession transaction, in milliseconds; survives restarts.
    pub timeout_ms: i32,
    /// Its end was asked for: it may do nothing more.
    pub closing: bool,
    /// The connection it is on.
    pub conn: Option<ConnId>,
    /// The server that its requests may come from; any, until one came.
    pub owner: Option<Owner>,
    /// Its createSession is applied.
    pub committed: bool,
    /// Monotonic time of the bucket in which it waits, in milliseconds.
    bucket_ms: i64,
}

impl Session {
    /// A session that waits in no bucket.
    fn new(timeout_ms: i32, conn: Option<ConnId>) -> Self {
        Self { timeout_ms, closing: false, conn, owner: None, committed: false, bucket_ms: i64::MIN }
    }

    /// Monotonic time (milliseconds) of the bucket in which it waits to be asked for: what its connection has
    /// heard since is not in it. `None` once it was taken out to expire.
    pub fn bucket_ms(&self) -> Option<i64> {
        Some(self.bucket_ms).filter(|bucket_ms| *bucket_ms != i64::MIN)
    }
}

/// All sessions.
#[derive(Debug)]
pub struct SessionTable {
    sessions: BTreeMap<SessionId, Session>,
    buckets: BTreeMap<i64, BTreeSet<SessionId>>,
    tick_ms: i64,
}

impl SessionTable {
    /// No sessions. `tick_ms` is the width of a bucket (tickTime), at least 1.
    pub fn new(tick_ms: i64) -> Self {
        Self { sessions: BTreeMap::new(), buckets: BTreeMap::new(), tick_ms: tick_ms.max(1) }
    }

    /// The bucket (monotonic milliseconds) in which a session expires that may be silent until `deadline_ms`.
    pub fn bucket_of(&self, deadline_ms: i64) -> i64 {
        (deadline_ms.div_euclid(self.tick_ms) + 1) * self.tick_ms
    }

    /// Number of sessions.
    pub fn len(&self) -> usize {
        self.sessions.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// A session.
    pub fn get(&self, session: SessionId) -> Option<&Session> {
        self.sessions.get(&session)
    }

    /// All sessions with their timeouts, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.sessions.iter().map(|(id, session)| (*id, session))
    }

    /// The sessions that are part of the agreed state, with their timeouts: what a snapshot has. A leader knows more, whose
    /// createSession is on its way.
    pub fn committed(&self) -> impl Iterator<Item = (SessionId, i32)> {
        self.iter().filter(|(_, session)| session.committed).map(|(id, session)| (id, session.timeout_ms))
    }

    /// The sessions behind `after`, in the order of their ids.
    pub fn iter_after(&self, after: Option<SessionId>) -> impl Iterator<Item = (SessionId, &Session)> {
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        self.sessions.range(behind).map(|(id, session)| (*id, session))
    }

    /// Whether requests of the session may be served.
    pub fn is_open(&self, session: SessionId) -> bool {
        self.sessions.get(&session).is_some_and(|session| !session.closing)
    }

    /// Begins to track a session, or changes its timeout if it is tracked already.
    pub fn track(&mut self, id: SessionId, timeout_ms: i32, conn: Option<ConnId>, now_ms: i64) {
        let session = self.sessions.entry(id).or_insert(Session::new(timeout_ms, conn));
        session.timeout_ms = timeout_ms;
        self.touch(id, timeout_ms, now_ms);
    }

    /// The session's createSession was applied. Only a leader knew of it before.
    pub fn confirm(&mut self, id: SessionId, timeout_ms: i32) {
        let session = self.sessions.entry(id).or_insert(Session::new(timeout_ms, None));
        (session.timeout_ms, session.committed) = (timeout_ms, true);
    }

    /// The leader knows the session, though its createSession may not have come here yet.
    pub fn expect(&mut self, id: SessionId) {
        self.sessions.entry(id).or_insert(Session::new(0, None));
    }

    /// Whether a request that comes through `owner` may be served; the first one decides through whom all must come
    /// (`SessionTrackerImpl#checkSession`).
    pub fn check(&mut self, id: SessionId, owner: Option<Owner>) -> Result<(), ErrorCode> {
        let session = self.sessions.get_mut(&id).ok_or(ErrorCode::UnknownSession)?;
        match session.owner {
            _ if session.closing => Err(ErrorCode::SessionExpired),
            None => {
                session.owner = owner;
                Ok(())
            }
            present if present == owner => Ok(()),
            Some(_) => Err(ErrorCode::SessionMoved),
        }
    }

    /// The session's requests come through `owner` from now on (`SessionTrackerImpl#setOwner`).
    pub fn set_owner(&mut self, id: SessionId, owner: Option<Owner>) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.owner = owner;
        }
    }

    /// A new role of the server begins: what was on its way is void, nobody is connected, and every session is given its
    /// time anew.
    pub fn restart(&mut self, now_ms: i64) {
        self.sessions.retain(|_, session| session.committed);
        self.buckets.clear();
        for session in self.sessions.values_mut() {
            *session = Session { committed: true, ..Session::new(session.timeout_ms, None) };
        }
        let sessions: Vec<_> = self.iter().map(|(id, session)| (id, session.timeout_ms)).collect();
        for (id, timeout_ms) in sessions {
            self.touch(id, timeout_ms, now_ms);
        }
    }

    /// There are no sessions any more.
    pub fn clear(&mut self) {
        self.sessions.clear();
        self.buckets.clear();
    }

    /// The sessions that are on a connection of this server.
    pub fn attached(&self) -> impl Iterator<Item = (SessionId, ConnId)> {
        self.sessions.iter().filter_map(|(id, session)| Some((*id, session.conn?)))
    }

    /// The session was heard of at `heard_ms`. False if it is over or ending.
    pub fn touch(&mut self, id: SessionId, timeout_ms: i32, heard_ms: i64) -> bool {
        let bucket_ms = self.bucket_of(heard_ms + i64::from(timeout_ms));
        let Some(session) = self.sessions.get_mut(&id) else { return false };
        if session.closing {
            return false;
        }
        if session.bucket_ms != bucket_ms {
            let old = std::mem::replace(&mut session.bucket_ms, bucket_ms);
            self.leave_bucket(old, id);
            self.buckets.entry(bucket_ms).or_default().insert(id);
        }
        true
    }

    /// The session is now on this connection (or on none). Returns the connection it was on.
    pub fn attach(&mut self, id: SessionId, conn: Option<ConnId>) -> Option<ConnId> {
        self.sessions.get_mut(&id).and_then(|session| std::mem::replace(&mut session.conn, conn))
    }

    /// The connection is gone; the session stays until it expires.
    pub fn detach(&mut self, id: SessionId, conn: ConnId, timeout_ms: i32, heard_ms: i64) {
        let bucket_ms = self.bucket_of(heard_ms + i64::from(timeout_ms));
        if let Some(session) = self.sessions.get_mut(&id)
            && session.conn == Some(conn)
        {
            session.conn = None;
            // Another server may have told of a later sign of life meanwhile.
            if bucket_ms > session.bucket_ms {
                self.touch(id, timeout_ms, heard_ms);
            }
        }
    }

    /// The session's end was asked for.
    pub fn set_closing(&mut self, id: SessionId) {
        if let Some(session) = self.sessions.get_mut(&id) {
            session.closing = !planted!(SessionClosedTwice);
        }
    }

    /// The session is over.
    pub fn remove(&mut self, id: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&id)?;
        self.leave_bucket(session.bucket_ms, id);
        Some(session)
    }

    fn leave_bucket(&mut self, bucket_ms: i64, id: SessionId) {
        if let Some(bucket) = self.buckets.get_mut(&bucket_ms) {
            bucket.remove(&id);
            if bucket.is_empty() {
                self.buckets.remove(&bucket_ms);
            }
        }
    }

    /// When the next bucket is due, in monotonic milliseconds.
    pub fn next_deadline_ms(&self) -> Option<i64> {
        self.buckets.keys().next().copied()
    }

    /// Takes the sessions out that were silent too long and marks them as closing. `heard` tells of a
    /// connection when it last heard of its client (monotonic milliseconds), and the timeout agreed on it.
    pub fn expire(&mut self, now_ms: i64, heard: impl Fn(ConnId) -> Option<(i64, i32)>) -> Vec<SessionId> {
        let mut expired = Vec::new();
        while let Some((due_ms, bucket)) = self.buckets.pop_first() {
            if due_ms > now_ms {
                self.buckets.insert(due_ms, bucket);
                break;
            }
            for id in bucket {
                let Some(session) = self.sessions.get_mut(&id) else { continue };
                session.bucket_ms = i64::MIN;
                if session.closing {
                    continue;
                }
                let news = session.conn.and_then(&heard);
                match news {
                    Some((heard_ms, timeout_ms)) if self.bucket_of(heard_ms + i64::from(timeout_ms)) > now_ms => {
                        self.touch(id, timeout_ms, heard_ms);
                    }
                    _ => {
                        self.set_closing(id);
                        if planted!(SessionClosedTwice) {
                            self.touch(id, 0, now_ms);
                        }
                        expired.push(id);
                    }
                }
            }
        }
        expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(10);
    const B: SessionId = SessionId(11);

    #[test]
    fn sessions_expire_in_the_bucket_behind_their_deadline() {
        let mut table = SessionTable::new(1000);
        table.track(A, 2500, None, 100);
        assert_eq!(table.next_deadline_ms(), Some(3000));
        assert_eq!(table.expire(2999, |_| None), []);
        assert_eq!(table.expire(3000, |_| None), [A]);
        assert!(!table.is_open(A) && !table.touch(A, 2500, 3000));
        assert!(table.remove(A).is_some() && table.is_empty());
    }

    #[test]
    fn a_connection_that_heard_of_its_client_keeps_the_session() {
        let mut table = SessionTable::new(1000);
        table.track(A, 2000, Some(ConnId(1)), 0);
        table.track(B, 2000, Some(ConnId(2)), 0);
        let heard = |conn| (conn == ConnId(1)).then_some((1500, 2000));
        assert_eq!(table.expire(3000, heard), [B]);
        assert_eq!(table.next_deadline_ms(), Some(4000));
        table.detach(A, ConnId(1), 2000, 2500);
        assert_eq!(table.next_deadline_ms(), Some(5000));
        assert_eq!(table.expire(5000, heard), [A]);
    }

    /// A client that went from a learner to this leader: the learner's word of it may come later than what it says here.
    #[test]
    fn the_end_of_a_connection_does_not_take_back_a_later_sign_of_life() {
        let mut table = SessionTable::new(1000);
        table.track(A, 2000, Some(ConnId(1)), 0);
        assert!(table.touch(A, 2000, 2500));
        table.detach(A, ConnId(1), 2000, 900);
        assert_eq!(table.expire(4000, |_| None), []);
        assert_eq!(table.expire(5000, |_| None), [A]);
    }

    #[test]
    fn sessions_and_their_buckets_can_be_walked() {
        let mut table = SessionTable::new(1000);
        table.track(B, 2500, None, 100);
        table.track(A, 500, None, 100);
        let buckets =
            |after| table.iter_after(after).map(|(id, session)| (id, session.bucket_ms())).collect::<Vec<_>>();
        assert_eq!(buckets(None), [(A, Some(1000)), (B, Some(3000))]);
        assert_eq!((buckets(Some(A)), buckets(Some(B))), (vec![(B, Some(3000))], vec![]));
        assert_eq!(table.expire(1000, |_| None), [A]);
        assert_eq!(table.get(A).and_then(Session::bucket_ms), None);
    }

    #[test]
    fn a_session_that_moved_is_not_detached_by_its_old_connection() {
        let mut table = SessionTable::new(1000);
        table.track(A, 2000, Some(ConnId(1)), 0);
        assert_eq!(table.attach(A, Some(ConnId(2))), Some(ConnId(1)));
        table.detach(A, ConnId(1), 2000, 0);
        assert_eq!(table.get(A).and_then(|session| session.conn), Some(ConnId(2)));
    }
}
