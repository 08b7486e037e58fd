//! The one order of all that is committed, and what it means, told once more in the simplest way.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rookeeper_core::session::LocalSessions;
use rookeeper_core::zab::LogRecord;
use rookeeper_protocol::txn::{CreateTxn, LogEntry, Txn};
use rookeeper_protocol::types::{Acl, AclList, EphemeralOwner, ErrorCode, OpCode, SessionId, Zxid};

use super::Failed;

/// A transaction that is committed.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) record: LogRecord,
    cxid: i32,
    /// What it failed with.
    pub(crate) error: Option<i32>,
}

/// A znode from some transaction on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) data: Option<Bytes>,
    pub(crate) version: i32,
    pub(crate) owner: EphemeralOwner,
    pub(crate) czxid: Zxid,
    pub(crate) mzxid: Zxid,
    /// When its data was set, by the leader's wall clock.
    pub(crate) mtime_ms: i64,
}

/// What became of a path, by transactions: a znode, or none.
#[derive(Debug, Clone, Default)]
struct Path {
    states: Vec<(Zxid, Option<State>)>,
    /// When its children changed, and how many there were then.
    children: Vec<(Zxid, usize)>,
    /// Its ACLs; one that is deleted leaves its last one.
    acls: Vec<(Zxid, AclList)>,
}

/// A session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) opened: Zxid,
    pub(crate) timeout_ms: i32,
    pub(crate) closed: Option<Zxid>,
}

/// The order of all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger {
    committed: Vec<Committed>,
    paths: BTreeMap<String, Path>,
    pub(crate) sessions: BTreeMap<SessionId, Life>,
    /// Those of read-only servers.
    pub(crate) shown_sessions: BTreeSet<SessionId>,
    /// Paths that were containers, or had a time to live.
    pub(super) mortal: BTreeSet<String>,
    /// Those that some leader has found due.
    pub(super) found_due: BTreeSet<String>,
    /// Whether sessions may be known to their servers alone.
    pub(crate) local_sessions: LocalSessions,
    by_request: BTreeMap<(SessionId, i32), usize>,
    /// Digests of the members' trees at a zxid.
    digests: BTreeMap<Zxid, i64>,
}

impl Ledger {
    /// Whether a session is one that all know, or was.
    pub(crate) fn knows(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(crate) fn last_zxid(&self) -> Zxid {
        self.committed.last().map_or(Zxid::ZERO, |committed| committed.record.zxid)
    }

    pub(crate) fn len(&self) -> usize {
        self.committed.len()
    }

    /// How many transactions there are up to this one.
    pub(crate) fn position(&self, zxid: Zxid) -> usize {
        self.committed.partition_point(|committed| committed.record.zxid <= zxid)
    }

    pub(crate) fn get(&self, position: usize) -> Option<&Committed> {
        self.committed.get(position)
    }

    /// The transaction that a request became.
    pub(crate) fn of_request(&self, session: SessionId, cxid: i32) -> Option<&Committed> {
        self.by_request.get(&(session, cxid)).and_then(|position| self.committed.get(*position))
    }

    /// Whether this is committed.
    pub(super) fn has(&self, record: &LogRecord) -> bool {
        let known = self.position(record.zxid).checked_sub(1).and_then(|position| self.get(position));
        known.is_some_and(|known| known.record == *record)
    }

    /// The order of all up to `base`, and these behind it.
    pub(super) fn continued(&self, base: Zxid, records: &[LogRecord]) -> Result<Self, Failed> {
        let mut other = self.clone();
        other.committed.truncate(self.position(base));
        let count = other.committed.len();
        other.by_request.retain(|_, position| *position < count);
        for path in other.paths.values_mut() {
            path.states.retain(|(zxid, _)| *zxid <= base);
            path.children.retain(|(zxid, _)| *zxid <= base);
            path.acls.retain(|(zxid, _)| *zxid <= base);
        }
        other.sessions.retain(|_, life| life.opened <= base);
        for life in other.sessions.values_mut() {
            life.closed = life.closed.filter(|closed| *closed <= base);
        }
        records.iter().try_for_each(|record| other.extend(record.clone()))?;
        Ok(other)
    }

    /// One more is committed.
    pub(crate) fn extend(&mut self, record: LogRecord) -> Result<(), Failed> {
        let zxid = record.zxid;
        let entry =
            LogEntry::read(&record.payload).map_err(|error| Failed::new("what is committed can be read", error))?;
        let (session, cxid) = (entry.header.client_id, entry.header.cxid);
        let error = error_of(&entry.txn);
        if self.shown_sessions.contains(&session) {
            let what = format!("{zxid} is of session {session}: {:?}", entry.txn);
            return Err(Failed::new("no write comes of a read-only server's session", what));
        }
        if let Some(closed) = self.sessions.get(&session).and_then(|life| life.closed)
            && error.is_none()
            && !self.is_closed_again(&entry, closed)
            && !self.may_be_local(&entry.txn)
        {
            let what = format!("{zxid} is of session {session}, closed with {closed}: {:?}", entry.txn);
            return Err(Failed::new("a closed session does nothing more", what));
        }
        self.apply(zxid, session, entry.header.time, &entry.txn)?;
        self.by_request.entry((session, cxid)).or_insert(self.committed.len());
        self.committed.push(Committed { record, cxid, error });
        Ok(())
    }

    /// A client that got no answer comes back on another server and closes its session once more; that changes nothing. A
    /// session that expired does not expire again.
    fn is_closed_again(&self, entry: &LogEntry, closed: Zxid) -> bool {
        let first = self.get(self.position(closed).saturating_sub(1));
        let expired = first.is_some_and(|first| first.cxid == 0) && entry.header.cxid == 0;
        matches!(&entry.txn, Txn::CloseSession { paths } if paths.as_ref().is_none_or(Vec::is_empty)) && !expired
    }

    /// A leader takes a session that it does not know any more for a local one of another server, and what was on its way for
    /// it is done, as in Java (`LeaderSessionTracker#checkSession`). Ephemeral znodes are not among that.
    fn may_be_local(&self, txn: &Txn) -> bool {
        self.local_sessions == LocalSessions::Upgradable && !makes_ephemeral(txn)
    }

    fn apply(&mut self, zxid: Zxid, session: SessionId, time_ms: i64, txn: &Txn) -> Result<(), Failed> {
        match txn {
            Txn::Create { create, ephemeral: true, .. } => {
                if !self.sessions.contains_key(&session) {
                    let what = format!("{} with {zxid} is of {session}", create.path);
                    return Err(Failed::new("an ephemeral znode belongs to a session that all know", what));
                }
                self.create(zxid, time_ms, create, EphemeralOwner::Session(session));
            }
            Txn::Create { create, .. } => self.create(zxid, time_ms, create, EphemeralOwner::None),
            Txn::CreateContainer(create) => self.create_mortal(zxid, time_ms, create, EphemeralOwner::Container),
            Txn::CreateTtl { create, ttl_ms } => {
                self.create_mortal(zxid, time_ms, create, EphemeralOwner::Ttl(*ttl_ms));
            }
            Txn::Delete { op, path } => {
                if *op == OpCode::DeleteContainer {
                    self.check_reaped(path, zxid)?;
                }
                self.remove(path, zxid);
            }
            Txn::SetData { op: OpCode::SetData, path, data, version } => {
                if let Some(before) = self.at(path, zxid).cloned() {
                    let state =
                        State { data: data.clone(), version: *version, mzxid: zxid, mtime_ms: time_ms, ..before };
                    self.put(path, zxid, Some(state));
                }
            }
            Txn::SetAcl { path, acl, .. } => self.set_acl(path, zxid, acl),
            Txn::CreateSession { timeout_ms } => {
                let life = Life { opened: zxid, timeout_ms: *timeout_ms, closed: None };
                if self.local_sessions == LocalSessions::Enabled {
                    return Err(Failed::new("local sessions stay local", format!("{session}: {zxid}")));
                }
                if let Some(other) = self.sessions.insert(session, life) {
                    return Err(Failed::new("a session begins once", format!("{session}: {zxid}, {other:?}")));
                }
            }
            Txn::CloseSession { .. } => {
                if let Some(life) = self.sessions.get_mut(&session) {
                    life.closed.get_or_insert(zxid);
                }
                let owned: Vec<String> = self.owned_by(session).collect();
                owned.iter().for_each(|path| self.remove(path, zxid));
            }
            Txn::Multi(parts) if error_of(txn).is_none() => {
                parts.iter().try_for_each(|part| self.apply(zxid, session, time_ms, part))?;
            }
            Txn::Multi(_) | Txn::SetData { .. } | Txn::Check { .. } | Txn::Error { .. } => {}
        }
        Ok(())
    }

    fn create(&mut self, zxid: Zxid, mtime_ms: i64, create: &CreateTxn, owner: EphemeralOwner) {
        let state = State { data: create.data.clone(), version: 0, owner, czxid: zxid, mzxid: zxid, mtime_ms };
        self.put(&create.path, zxid, Some(state));
        self.set_acl(&create.path, zxid, &create.acl);
        self.touch_parent(&create.path, zxid, |count| count + 1);
    }

    fn create_mortal(&mut self, zxid: Zxid, mtime_ms: i64, create: &CreateTxn, owner: EphemeralOwner) {
        self.mortal.insert(create.path.to_string());
        self.create(zxid, mtime_ms, create, owner);
    }

    fn set_acl(&mut self, path: &str, zxid: Zxid, acl: &AclList) {
        self.paths.entry(path.to_owned()).or_default().acls.push((zxid, acl.clone()));
    }

    fn put(&mut self, path: &str, zxid: Zxid, state: Option<State>) {
        match self.paths.get_mut(path) {
            Some(known) => known.states.push((zxid, state)),
            None => {
                let known = Path { states: vec![(zxid, state)], ..Path::default() };
                self.paths.insert(path.to_owned(), known);
            }
        }
    }

    fn remove(&mut self, path: &str, zxid: Zxid) {
        self.put(path, zxid, None);
        // Whoever watches the children of a znode hears of its own end too.
        self.touch(path, zxid, |count| count);
        self.touch_parent(path, zxid, |count| count.saturating_sub(1));
    }

    fn touch_parent(&mut self, path: &str, zxid: Zxid, change: fn(usize) -> usize) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.touch(if parent.is_empty() { "/" } else { parent }, zxid, change);
    }

    fn touch(&mut self, path: &str, zxid: Zxid, change: fn(usize) -> usize) {
        let children = &mut self.paths.entry(path.to_owned()).or_default().children;
        let count = children.last().map_or(0, |(_, count)| *count);
        children.push((zxid, change(count)));
    }

    fn owned_by(&self, session: SessionId) -> impl Iterator<Item = String> {
        self.now()
            .filter(move |(_, state)| state.owner == EphemeralOwner::Session(session))
            .map(|(path, _)| path.to_owned())
    }

    /// The znodes that there are now, as far as transactions have made them.
    pub(crate) fn now(&self) -> impl Iterator<Item = (&str, &State)> {
        self.paths.iter().filter_map(|(path, known)| Some((path.as_str(), known.states.last()?.1.as_ref()?)))
    }

    /// A znode as it was at this zxid.
    pub(crate) fn at(&self, path: &str, zxid: Zxid) -> Option<&State> {
        let states = &self.paths.get(path)?.states;
        let behind = states.partition_point(|(at, _)| *at <= zxid);
        states.get(behind.checked_sub(1)?)?.1.as_ref()
    }

    /// A znode's ACL as it was at this zxid; the last one, if it was not there.
    pub(crate) fn acl_at(&self, path: &str, zxid: Zxid) -> Option<&[Acl]> {
        let acls = &self.paths.get(path)?.acls;
        let behind = acls.partition_point(|(at, _)| *at <= zxid);
        acls.get(behind.checked_sub(1)?).map(|(_, acl)| &acl[..])
    }

    /// The ACL that a znode came with in this transaction.
    pub(crate) fn first_acl(&self, path: &str, zxid: Zxid) -> Option<&[Acl]> {
        let acls = &self.paths.get(path)?.acls;
        acls.get(acls.partition_point(|(at, _)| *at < zxid)).map(|(_, acl)| &acl[..])
    }

    /// How many children a znode had at this zxid.
    pub(crate) fn children_at(&self, path: &str, zxid: Zxid) -> usize {
        let Some(Path { children, .. }) = self.paths.get(path) else { return 0 };
        let behind = children.partition_point(|(at, _)| *at <= zxid);
        behind.checked_sub(1).map_or(0, |last| children[last].1)
    }

    /// The first change of a znode's own state behind `after`.
    pub(crate) fn next_change(&self, path: &str, after: Zxid) -> Option<Zxid> {
        let states = &self.paths.get(path)?.states;
        states.get(states.partition_point(|(at, _)| *at <= after)).map(|(at, _)| *at)
    }

    /// The first change of its children, or its own end, behind `after`.
    pub(crate) fn next_child_change(&self, path: &str, after: Zxid) -> Option<Zxid> {
        let children = &self.paths.get(path)?.children;
        children.get(children.partition_point(|(at, _)| *at <= after)).map(|(at, _)| *at)
    }

    /// A member's tree has this digest behind this transaction; all others' must have the same.
    pub(crate) fn compare_digest(&mut self, member: i64, zxid: Zxid, digest: i64) -> Result<(), Failed> {
        match self.digests.entry(zxid).or_insert(digest) {
            known if *known == digest => Ok(()),
            known => {
                let what = format!("server {member} at {zxid}: {digest}, others: {known}");
                Err(Failed::new("all trees are equal at the same zxid", what))
            }
        }
    }
}

fn makes_ephemeral(txn: &Txn) -> bool {
    match txn {
        Txn::Create { ephemeral, .. } => *ephemeral,
        Txn::Multi(parts) => parts.iter().any(makes_ephemeral),
        _ => false,
    }
}

/// What a transaction failed with, if it changes nothing. In front of the part of a multi that failed stand others without a
/// reason of their own.
fn error_of(txn: &Txn) -> Option<i32> {
    match txn {
        Txn::Error { code } => Some(*code),
        Txn::Multi(parts) => {
            let mut errors = parts.iter().filter_map(error_of).peekable();
            let any = errors.peek().copied();
            errors.find(|code| *code != ErrorCode::Ok.number()).or(any)
        }
        _ => None,
    }
}
