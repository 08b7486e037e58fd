//! What a client may conclude from each answer: its own order, one system image over all its connections, writes that agree
//! with real time, reads that agree with the order of all, events before what they tell of.
//!
//! All of it is judged at once when the answer comes. The order of all is known from outside, so that no search is needed
//! for an order that explains the history: there is one, and each answer names its place in it.

use bytes::Bytes;
use rookeeper_core::session::LocalSessions;
use rookeeper_protocol::client::ReplyHeader;
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{ErrorCode, OpCode, Perms, Stat, Zxid};

use super::expected::Expected;
use super::{Access, Answer, Client, Fired, Op, Pending, WatchKind};
use crate::checks::{Failed, Ledger, State, ensure};

const NODE_CREATED: i32 = 1;
const NODE_DELETED: i32 = 2;
const DATA_CHANGED: i32 = 3;
const CHILDREN_CHANGED: i32 = 4;

const UNIMPLEMENTED: i32 = -6;
const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
const NOT_READ_ONLY: i32 = -119;

/// What a write comes to when its session may do nothing, whatever else is the case.
const SESSION_ERRORS: [ErrorCode; 3] =
    [ErrorCode::SessionExpired, ErrorCode::SessionMoved, ErrorCode::EphemeralOnLocalSession];

impl Client {
    pub(super) fn check_new_session(&self, ledger: &Ledger) -> Result<(), Failed> {
        let is_local = ledger.local_sessions != LocalSessions::Disabled || self.is_shown;
        ensure(ledger.knows(self.session) != is_local, "a session begins as what it is to be", || {
            format!("{}, local: {is_local}", self.session)
        })
    }

    /// A server that only shows its tree has told so, and nobody is there who did not say that this will do.
    pub(super) fn check_shown(&self) -> Result<(), Failed> {
        ensure(self.reads_only || !self.is_shown, "a read-only server takes those who can do with it", || {
            format!("client {} at server {}", self.node, self.server)
        })
    }

    /// A session that only its first server knows comes back nowhere else, unless what it asked for makes all know it. One of a
    /// read-only server ends with that mode, and no other comes back to such a server.
    pub(super) fn check_resumed(&self, ledger: &Ledger) -> Result<(), Failed> {
        ensure(self.began_shown == self.is_shown, "a session is a read-only server's or the ensemble's", || {
            format!("{} of server {} at {}, read-only: {}", self.session, self.home, self.server, self.is_shown)
        })?;
        let may_be_global = ledger.local_sessions != LocalSessions::Enabled && self.wants_ephemeral;
        let comes_back = ledger.knows(self.session) || may_be_global || self.home == self.server;
        ensure(comes_back, "a local session is known to its server alone", || {
            format!("{} of server {} at {}", self.session, self.home, self.server)
        })
    }

    /// A read-only server that has all that the client has seen knows whether its session goes on.
    pub(super) fn check_over(&self, is_shown: bool, ledger: &Ledger) -> Result<(), Failed> {
        let life = ledger.sessions.get(&self.session).filter(|life| life.closed.is_none());
        let goes_on = life.is_some_and(|life| life.opened <= self.seen);
        ensure(!is_shown || !goes_on, "a read-only server ends no session of the ensemble", || {
            format!("{} at server {}: {life:?}", self.session, self.server)
        })
    }

    /// The newest thing seen may never be older than what was seen before.
    fn see(&mut self, zxid: Zxid) -> Result<(), Failed> {
        let seen = self.seen;
        ensure(zxid >= seen, "no client sees the state go back", || {
            format!("client {} at server {}: {zxid} behind {seen}", self.node, self.server)
        })?;
        self.seen = zxid;
        Ok(())
    }

    pub(super) fn on_event(&mut self, fired: Fired, ledger: &Ledger) -> Result<(), Failed> {
        let path = fired.path.clone();
        let kinds: &[WatchKind] = match fired.event {
            NODE_CREATED => &[WatchKind::Data, WatchKind::Exist],
            DATA_CHANGED => &[WatchKind::Data, WatchKind::Exist],
            CHILDREN_CHANGED => &[WatchKind::Child],
            NODE_DELETED => &[WatchKind::Data, WatchKind::Exist, WatchKind::Child],
            _ => &[],
        };
        let mut expected = None;
        for kind in kinds {
            if let Some(since) = self.watches.remove(&(*kind, path.clone())) {
                let change = next_change(ledger, *kind, &path, since);
                // Of what a watch missed while the client was away it hears all the same, as in Java.
                let is_told = |change: &Zxid| fired.zxid <= Zxid::ZERO || self.may_hear(ledger, &path, *change);
                expected = expected.or(change.filter(is_told));
                self.answered += 1;
            }
        }
        if fired.zxid > Zxid::ZERO {
            ensure(expected == Some(fired.zxid), "a watch fires for the first change behind it", || {
                format!("client {}: {fired:?}, the first change was {expected:?}", self.node)
            })?;
            self.see(fired.zxid)?;
            self.drop_unheard(ledger);
        } else {
            ensure(expected.is_some(), "a watch fires for a change", || format!("client {}: {fired:?}", self.node))?;
        }
        if self.keeps_answers {
            self.fired.push(fired);
        }
        Ok(())
    }

    pub(super) fn on_answer(
        &mut self,
        pending: Pending,
        header: &ReplyHeader,
        body: &[u8],
        ledger: &Ledger,
        known: &mut Zxid,
    ) -> Result<(), Failed> {
        let Pending { xid, op, floor } = pending;
        let zxid = header.zxid;
        if header.error == UNIMPLEMENTED {
            // It has no place in the order, and its connection ends.
            return Ok(());
        }
        if let Op::Auth(_) = op {
            return ensure(header.error == 0, "whoever has a password may say so", || format!("client {}", self.node));
        }
        self.see(zxid)?;
        if matches!(op, Op::SetWatches { .. }) {
            // What came and went meanwhile is waited for anew.
            let waits = self.watches.iter_mut().filter(|((kind, _), _)| *kind == WatchKind::Exist);
            waits.for_each(|(_, since)| *since = zxid);
        }
        self.drop_unheard(ledger);
        self.check_watches(zxid, ledger)?;
        let who = format!("client {} at server {}, {op:?}", self.node, self.server);
        let is_refused = header.error == NOT_READ_ONLY;
        let must_be = self.is_shown && (op.is_write() && op != Op::Close || op == Op::Sync);
        ensure(is_refused == must_be, "a read-only server refuses writes, and nobody else does", || {
            format!("{who}: {}, read-only: {}", header.error, self.is_shown)
        })?;
        let is_local_end = op == Op::Close && !ledger.knows(self.session);
        if is_local_end {
            ensure(
                ledger.local_sessions != LocalSessions::Disabled || self.is_shown,
                "what is answered is committed",
                || format!("{who}: {zxid}, nobody knew the session"),
            )?;
        } else if op.is_write() && !is_refused {
            let committed = ledger.of_request(self.session, xid);
            let place = committed.map(|committed| committed.record.zxid);
            ensure(place == Some(zxid), "what is answered is committed", || {
                format!("{who}: {zxid}, committed is {place:?}")
            })?;
            let failed = committed.and_then(|committed| committed.error);
            ensure(
                failed.is_some() == (header.error != 0) || matches!(op, Op::Multi(_)),
                "an answer tells what happened",
                || format!("{who}: error {}", header.error),
            )?;
            self.check_outcome(&who, &op, zxid, failed, ledger)?;
            let is_too_much = ledger.local_sessions == LocalSessions::Enabled && op.makes_ephemeral();
            ensure(
                !is_too_much || SESSION_ERRORS.iter().any(|error| error.number() == header.error),
                "a local session owns nothing",
                || format!("{who}: error {}", header.error),
            )?;
            ensure(zxid > floor, "writes have the order of real time", || {
                format!("{who}: {zxid}, known before was {floor}")
            })?;
            *known = zxid.max(*known);
        }
        let mut data = None;
        match &op {
            Op::Sync if !is_refused => {
                ensure(zxid >= floor, "a sync sees all that was known before it", || format!("{who}: {zxid}, {floor}"))?
            }
            Op::Get { path, watch } | Op::Exists { path, watch } if header.error == 0 => {
                let with_data = op.code() == OpCode::GetData;
                let (read, stat) = read_body(body, with_data)?;
                self.check_read(&who, ledger.at(path, zxid), read.as_ref(), &stat)?;
                self.check_may_read(&who, path, zxid, true, ledger)?;
                if *watch {
                    self.watches.insert((WatchKind::Data, path.clone()), zxid);
                }
                data = read;
            }
            Op::Get { path, .. } | Op::Exists { path, .. } | Op::Children { path, .. } if header.error == NO_AUTH => {
                let there = path == "/" || ledger.at(path, zxid).is_some();
                ensure(there, "a read shows what was agreed on", || format!("{who} at {zxid}: no right, nothing"))?;
                self.check_may_read(&who, path, zxid, false, ledger)?;
            }
            Op::Get { path, .. } | Op::Exists { path, .. } => {
                ensure(header.error == NO_NODE, "a read fails for a reason", || format!("{who}: {}", header.error))?;
                let there = ledger.at(path, zxid);
                ensure(there.is_none(), "a read shows what was agreed on", || {
                    format!("{who} at {zxid}: nothing, {there:?}")
                })?;
                if matches!(op, Op::Exists { watch: true, .. }) {
                    self.watches.insert((WatchKind::Exist, path.clone()), zxid);
                }
            }
            Op::Children { path, watch } if header.error == 0 => {
                self.check_may_read(&who, path, zxid, true, ledger)?;
                if *watch {
                    self.watches.insert((WatchKind::Child, path.clone()), zxid);
                }
            }
            _ => {}
        }
        self.answered += 1;
        if self.keeps_answers && !matches!(op, Op::Ping) {
            self.answers.push(Answer { xid, zxid, error: header.error, data });
        }
        if matches!(op, Op::Close) && header.error == 0 {
            self.forget_session();
        }
        Ok(())
    }

    fn check_read(&self, who: &str, agreed: Option<&State>, read: Option<&Bytes>, stat: &Stat) -> Result<(), Failed> {
        let Some(agreed) = agreed else {
            return Err(Failed::new(
                "a read shows what was agreed on",
                format!("{who}: {stat:?}, nothing was agreed on"),
            ));
        };
        let is_equal = agreed.version == stat.version
            && agreed.mzxid == stat.mzxid
            && read.is_none_or(|read| Some(read) == agreed.data.as_ref());
        ensure(is_equal, "a read shows what was agreed on", || format!("{who}: {stat:?}, {agreed:?}"))
    }

    /// A write comes to what the rules make of it on the state before it, and leaves the ACL that was asked for.
    fn check_outcome(
        &self,
        who: &str,
        op: &Op,
        zxid: Zxid,
        failed: Option<i32>,
        ledger: &Ledger,
    ) -> Result<(), Failed> {
        if failed.is_some_and(|code| SESSION_ERRORS.iter().any(|error| error.number() == code)) {
            return Ok(());
        }
        let before = Zxid(zxid.0 - 1);
        if let Some(expected) = Expected::new(ledger, before, self.who).judge(op) {
            let expected = expected.err().map(ErrorCode::number);
            ensure(failed == expected, "a write comes to what the rules say", || {
                format!("{who} at {zxid}: {failed:?}, expected was {expected:?}")
            })?;
        }
        match op {
            Op::Create { path, mode, access, .. } if failed.is_none() && !mode.is_sequential() => {
                self.check_acl(who, path, zxid, *access, ledger)
            }
            Op::SetAcl { path, access } if failed.is_none() => self.check_acl(who, path, zxid, *access, ledger),
            _ => Ok(()),
        }
    }

    fn check_acl(&self, who: &str, path: &str, zxid: Zxid, access: Access, ledger: &Ledger) -> Result<(), Failed> {
        let (kept, asked) = (ledger.acl_at(path, zxid), access.kept(self.who));
        ensure(kept == asked.as_deref(), "an ACL is the one that was asked for", || {
            format!("{who}: {kept:?}, asked was {asked:?}")
        })
    }

    /// Whoever may read is shown, and nobody else.
    fn check_may_read(&self, who: &str, path: &str, zxid: Zxid, is_shown: bool, ledger: &Ledger) -> Result<(), Failed> {
        let may = ledger.acl_at(path, zxid).is_none_or(|acl| self.who.may(acl, Perms::READ));
        ensure(may == is_shown, "whoever may read is shown, and nobody else", || format!("{who} at {zxid}"))
    }

    /// Only those who may read a znode hear of its changes: by the ACL that it has then, or comes with.
    fn may_hear(&self, ledger: &Ledger, path: &str, change: Zxid) -> bool {
        let before = Zxid(change.0 - 1);
        let acl = match ledger.at(path, before) {
            Some(_) => ledger.acl_at(path, before),
            None => ledger.first_acl(path, change),
        };
        acl.is_none_or(|acl| self.who.may(acl, Perms::READ))
    }

    /// Watches are used up by changes that their client is not told of.
    fn drop_unheard(&mut self, ledger: &Ledger) {
        let unheard = |(kind, path): &(WatchKind, String), since: &Zxid| {
            let change = next_change(ledger, *kind, path, *since).filter(|change| *change <= self.seen);
            change.is_some_and(|change| !self.may_hear(ledger, path, change))
        };
        let unheard: Vec<_> = self
            .watches
            .iter()
            .filter(|(watch, since)| unheard(watch, since))
            .map(|(watch, _)| watch.clone())
            .collect();
        for watch in unheard {
            self.watches.remove(&watch);
        }
    }

    /// Whoever sees a state has heard of all that it watched for before.
    fn check_watches(&self, zxid: Zxid, ledger: &Ledger) -> Result<(), Failed> {
        for ((kind, path), since) in &self.watches {
            let change = next_change(ledger, *kind, path, *since);
            // Who waited for a znode while it was away does not hear of one that came and went.
            let came_and_went = *kind == WatchKind::Exist && ledger.at(path, zxid).is_none();
            ensure(
                change.is_none_or(|change| change > zxid) || came_and_went,
                "an event comes before what it tells of",
                || format!("client {} sees {zxid}, and was not told of {change:?} of {path}", self.node),
            )?;
        }
        Ok(())
    }
}

fn next_change(ledger: &Ledger, kind: WatchKind, path: &str, since: Zxid) -> Option<Zxid> {
    match kind {
        WatchKind::Data | WatchKind::Exist => ledger.next_change(path, since),
        WatchKind::Child => ledger.next_child_change(path, since),
    }
}

/// The data, if it was asked for, and the stat.
fn read_body(body: &[u8], with_data: bool) -> Result<(Option<Bytes>, Stat), Failed> {
    let mut reader = Reader::new(body);
    let unreadable = |error| Failed::new("a client can read", error);
    let data = match with_data {
        true => Some(Bytes::copy_from_slice(reader.buffer().map_err(unreadable)?.unwrap_or_default())),
        false => None,
    };
    Ok((data, Stat::read(&mut reader).map_err(unreadable)?))
}
