//! From a request to a transaction or an error (`PrepRequestProcessor`).
//!
//! The order of the checks is Java's: a client sees which of two errors comes first. A request that fails has
//! its zxid spent all the same and is logged as an error, since that is what Java does and members of an
//! ensemble must count alike.

use std::sync::Arc;

use bytes::Bytes;
use rookeeper_protocol::client::{
    CreateRequest, DeleteRequest, MultiRequest, ReconfigRequest, SetAclRequest, SetDataRequest, Text,
};
use rookeeper_protocol::jute::{DecodeError, Reader};
use rookeeper_protocol::txn::{DIGEST_VERSION, LogEntry, Txn, TxnDigest, TxnHeader};
use rookeeper_protocol::types::{EphemeralOwner, ErrorCode, OpCode, Perms, Zxid, parent_and_name, validate_path};

use super::outstanding::{DataSource, Record};
use super::quota::QuotaDelta;
use super::{Now, Origin, Outcome, Pipeline, Proposal, WriteRequest};
use crate::acl::normalize;
use crate::tree::{CONFIG, SPECIAL_PATHS, Tree};

/// What all steps of one preparation share.
pub(super) struct Context<'a> {
    pub(super) tree: &'a Tree,
    pub(super) request: &'a WriteRequest,
    pub(super) zxid: Zxid,
    pub(super) wall_ms: i64,
    pub(super) quota: Vec<QuotaDelta>,
}

/// A request, decoded.
enum Op<'a> {
    Create(OpCode, CreateRequest<'a>),
    Delete(DeleteRequest<'a>),
    Reap(&'a str),
    SetData(SetDataRequest<'a>),
    SetAcl(SetAclRequest<'a>),
    Multi(MultiRequest<'a>),
    Reconfig,
    CreateSession(i32),
    CloseSession,
}

fn decode<'a>(op: OpCode, body: &'a [u8], inner_length_max: i32) -> Result<Op<'a>, DecodeError> {
    let reader = &mut Reader::with_limit(body, inner_length_max);
    Ok(match op {
        OpCode::Create | OpCode::Create2 | OpCode::CreateContainer => Op::Create(op, CreateRequest::read(reader)?),
        OpCode::CreateTtl => Op::Create(op, CreateRequest::read_ttl(reader)?),
        OpCode::Delete => Op::Delete(DeleteRequest::read(reader)?),
        OpCode::DeleteContainer => Op::Reap(std::str::from_utf8(body).unwrap_or_default()),
        OpCode::SetData => Op::SetData(SetDataRequest::read(reader)?),
        OpCode::SetAcl => Op::SetAcl(SetAclRequest::read(reader)?),
        OpCode::Multi => Op::Multi(MultiRequest::read(reader)?),
        OpCode::Reconfig => ReconfigRequest::read(reader).map(|_| Op::Reconfig)?,
        OpCode::CreateSession => Op::CreateSession(reader.int()?),
        OpCode::CloseSession => Op::CloseSession,
        // Admission sends nothing else here; what came all the same cannot be decoded.
        other => {
            let kind = rookeeper_protocol::jute::DecodeErrorKind::InvalidOperation(other.number());
            return Err(reader.error(kind));
        }
    })
}

impl Pipeline {
    pub(super) fn prepare(&mut self, now: Now, tree: &Tree, request: WriteRequest) -> Proposal {
        let refused = |request: WriteRequest, code| Proposal {
            request: request.origin,
            outcome: Outcome::Refused(code),
            bytes: request.body.len(),
            quota: Vec::new(),
        };
        let decoded = decode(request.origin.op, &request.body, self.rules.inner_length_max);
        // Java spends the zxid before it reads these two. Another server waits for a transaction whatever it sent.
        let spends_zxid = request.origin.learner.is_some() || spends_zxid(request.origin.op);
        if decoded.is_err() && !spends_zxid {
            return refused(request, ErrorCode::MarshallingError);
        }
        self.last_proposed = self.last_proposed.next();
        let zxid = self.last_proposed;
        let mut context = Context { tree, request: &request, zxid, wall_ms: now.wall_ms, quota: Vec::new() };
        let prepared = match decoded {
            Ok(op) => self.prepare_op(now, &mut context, op),
            Err(_) => Err(ErrorCode::MarshallingError),
        };
        let mut quota = context.quota;
        let (txn, digest) = match prepared {
            Ok(txn) => (txn, self.digest(tree)),
            Err(code) => {
                // What was granted before another check failed is free again.
                quota.drain(..).for_each(|delta| self.outstanding.take_quota(&delta));
                (Txn::Error { code: code.number() }, None)
            }
        };
        let header = TxnHeader {
            client_id: request.origin.session,
            cxid: request.origin.xid,
            zxid,
            time: now.wall_ms,
            kind: txn.kind().number(),
        };
        let bytes = request.body.len();
        Proposal { request: request.origin, outcome: Outcome::Logged(LogEntry { header, txn, digest }), bytes, quota }
    }

    /// The digest behind a transaction.
    fn digest(&self, tree: &Tree) -> Option<TxnDigest> {
        let told = tree.rules().digest;
        told.then_some(TxnDigest { version: DIGEST_VERSION, tree_digest: self.outstanding.digest })
    }

    fn prepare_op(&mut self, now: Now, context: &mut Context<'_>, op: Op<'_>) -> Result<Txn, ErrorCode> {
        match op {
            Op::Create(op, create) => self.prepare_create(context, op, &create),
            Op::Delete(delete) => self.prepare_delete(context, &delete),
            // Learners reap nothing: one of Java's hands on what any client asks for.
            Op::Reap(_) if context.request.origin.learner.is_some() => Err(ErrorCode::Unimplemented),
            Op::Reap(path) => self.prepare_reap(context, path),
            Op::SetData(set) => self.prepare_set_data(context, &set),
            Op::SetAcl(set) => self.prepare_set_acl(context, &set),
            Op::Multi(multi) => self.prepare_multi(context, &multi),
            Op::Reconfig if !self.rules.reconfig_enabled => Err(ErrorCode::ReconfigDisabled),
            Op::Reconfig => self.prepare_reconfig(context),
            Op::CreateSession(timeout_ms) => {
                let origin = &context.request.origin;
                self.sessions.track(origin.session, timeout_ms, origin.conn, now.monotonic_ms);
                self.sessions.set_owner(origin.session, origin.owner());
                Ok(Txn::CreateSession { timeout_ms })
            }
            Op::CloseSession => Ok(self.prepare_close_session(context)),
        }
    }

    /// Whether the session may do anything (`SessionTrackerImpl#checkSession`).
    pub(super) fn check_session(&mut self, origin: &Origin) -> Result<(), ErrorCode> {
        match self.local_sessions.check(origin.session, origin.owner()) {
            Err(ErrorCode::UnknownSession) => {}
            known => return known,
        }
        match self.sessions.check(origin.session, origin.owner()) {
            Err(ErrorCode::UnknownSession) if self.is_local_elsewhere(origin.session) => Ok(()),
            // Java's leaders know of no other sessions than these (`LeaderSessionTracker#checkSession`).
            Err(ErrorCode::UnknownSession) if self.leads => Err(ErrorCode::SessionExpired),
            checked => checked,
        }
    }

    /// Whether the session may own znodes: all must know it (`LeaderSessionTracker#checkGlobalSession`).
    pub(super) fn check_owner(&mut self, origin: &Origin) -> Result<(), ErrorCode> {
        if self.local_sessions.get(origin.session).is_some() {
            return Err(ErrorCode::EphemeralOnLocalSession);
        }
        self.sessions.check(origin.session, origin.owner()).map_err(|code| match code {
            ErrorCode::UnknownSession => ErrorCode::SessionExpired,
            code => code,
        })
    }

    /// Whether the connection has the permission.
    pub(super) fn check_acl(&self, context: &Context<'_>, record: &Record, perms: i32) -> Result<(), ErrorCode> {
        let permitted = record.acl.permits(context.tree, &self.rules.acl, perms, &context.request.ids);
        if permitted { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    /// The ACL of a request with `auth` resolved.
    pub(super) fn normalize_acl(
        &self,
        context: &Context<'_>,
        acl: Option<&[rookeeper_protocol::types::Acl]>,
    ) -> Result<rookeeper_protocol::types::AclList, ErrorCode> {
        normalize(&self.rules.acl.auth, acl, &context.request.ids).map_err(ErrorCode::from)
    }

    pub(super) fn prepare_delete(
        &mut self,
        context: &mut Context<'_>,
        delete: &DeleteRequest<'_>,
    ) -> Result<Txn, ErrorCode> {
        self.check_session(&context.request.origin)?;
        let path = present(&delete.path)?;
        let parent_path = deletable(path)?;
        let parent = self.outstanding.record(context.tree, parent_path)?;
        self.check_acl(context, &parent, Perms::DELETE)?;
        let record = self.outstanding.record(context.tree, path)?;
        next_version(record.stat.version, delete.version)?;
        if record.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let path: Arc<str> = path.into();
        self.propose_removal(context, parent_path, parent, &path, &record);
        Ok(Txn::Delete { op: OpCode::Delete, path })
    }

    /// The removal of a container or TTL znode by the server itself: nobody's permission is asked, but whether
    /// the znode is still empty.
    fn prepare_reap(&mut self, context: &mut Context<'_>, path: &str) -> Result<Txn, ErrorCode> {
        let parent_path = deletable(path)?;
        let record = self.outstanding.record(context.tree, path)?;
        if record.num_children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        let owner = EphemeralOwner::decode(record.stat.ephemeral_owner, context.tree.rules().extended_types);
        // Java spares ephemeral znodes only, and deletes a persistent one that took the place meanwhile.
        if !matches!(owner, Ok(EphemeralOwner::Container | EphemeralOwner::Ttl(_))) {
            return Err(ErrorCode::BadVersion);
        }
        let parent = self.outstanding.record(context.tree, parent_path)?;
        let path: Arc<str> = path.into();
        self.propose_removal(context, parent_path, parent, &path, &record);
        Ok(Txn::Delete { op: OpCode::DeleteContainer, path })
    }

    fn propose_removal(
        &mut self,
        context: &mut Context<'_>,
        parent_path: &str,
        mut parent: Record,
        path: &Arc<str>,
        record: &Record,
    ) {
        let bytes = if self.rules.enforce_quota { record.data_len(context.tree) as i64 } else { 0 };
        self.free_quota(context.tree, path, bytes, &mut context.quota);
        parent.num_children = parent.num_children.saturating_sub(1);
        parent.stat.pzxid = context.zxid;
        let parent_path = self.outstanding.key(parent_path);
        self.outstanding.put(context.tree, context.zxid, parent_path, parent);
        self.outstanding.remove(context.zxid, path.clone(), record);
    }

    /// A reconfiguration, which was judged by the one who knows the ensemble; a server that stands alone has none.
    fn prepare_reconfig(&mut self, context: &mut Context<'_>) -> Result<Txn, ErrorCode> {
        self.check_session(&context.request.origin)?;
        let text = self.reconfiguration.take().unwrap_or(Err(ErrorCode::Unimplemented))?;
        let mut record = self.outstanding.record(context.tree, CONFIG)?;
        self.check_acl(context, &record, Perms::WRITE)?;
        let data = Some(Bytes::from(text));
        record.stat.version = -1;
        record.stat.mtime = context.wall_ms;
        record.stat.mzxid = context.zxid;
        record.data = DataSource::Proposed(data.clone());
        let path: Arc<str> = CONFIG.into();
        self.outstanding.put(context.tree, context.zxid, path.clone(), record);
        Ok(Txn::SetData { op: OpCode::Reconfig, path, data, version: -1 })
    }

    pub(super) fn prepare_set_data(
        &mut self,
        context: &mut Context<'_>,
        set: &SetDataRequest<'_>,
    ) -> Result<Txn, ErrorCode> {
        self.check_session(&context.request.origin)?;
        let path = legal(&set.path)?;
        let mut record = self.outstanding.record(context.tree, path)?;
        self.check_acl(context, &record, Perms::WRITE)?;
        if self.rules.enforce_quota {
            let gained = set.data.map_or(0, <[u8]>::len) as i64 - record.data_len(context.tree) as i64;
            self.check_quota(context.tree, path, 0, gained, &mut context.quota)?;
        }
        let version = next_version(record.stat.version, set.version)?;
        let data = set.data.map(|data| context.request.body.slice_ref(data));
        record.stat.version = version;
        record.stat.mtime = context.wall_ms;
        record.stat.mzxid = context.zxid;
        record.data = DataSource::Proposed(data.clone());
        let path: Arc<str> = path.into();
        self.outstanding.put(context.tree, context.zxid, path.clone(), record);
        Ok(Txn::SetData { op: OpCode::SetData, path, data, version })
    }

    fn prepare_set_acl(&mut self, context: &mut Context<'_>, set: &SetAclRequest<'_>) -> Result<Txn, ErrorCode> {
        self.check_session(&context.request.origin)?;
        let path = legal(&set.path)?;
        let acl = self.normalize_acl(context, set.acl.as_deref())?;
        let mut record = self.outstanding.record(context.tree, path)?;
        self.check_acl(context, &record, Perms::ADMIN)?;
        let version = next_version(record.stat.aversion, set.version)?;
        record.stat.aversion = version;
        // What follows is judged by the new list at once.
        record.acl = super::outstanding::AclSource::Proposed(acl.clone());
        let path: Arc<str> = path.into();
        self.outstanding.put(context.tree, context.zxid, path.clone(), record);
        Ok(Txn::SetAcl { path, acl, version })
    }

    fn prepare_close_session(&mut self, context: &mut Context<'_>) -> Txn {
        let session = context.request.origin.session;
        let paths = self.outstanding.ephemerals(context.tree, session);
        for path in &paths {
            let Some((parent_path, _)) = parent_and_name(path) else { continue };
            let (Ok(parent), Ok(record)) =
                (self.outstanding.record(context.tree, parent_path), self.outstanding.record(context.tree, path))
            else {
                continue;
            };
            self.propose_removal(context, parent_path, parent, &path.as_str().into(), &record);
        }
        self.sessions.set_closing(session);
        let paths = paths.into_iter().map(String::into_boxed_str).collect();
        Txn::CloseSession { paths: self.rules.close_session_txn.then_some(paths) }
    }
}

/// Whether Java spends a zxid before it reads the request.
pub(super) fn spends_zxid(op: OpCode) -> bool {
    matches!(op, OpCode::Multi | OpCode::CreateSession)
}

/// Whether a request can be read at all.
pub(super) fn is_readable(op: OpCode, body: &[u8], inner_length_max: i32) -> bool {
    decode(op, body, inner_length_max).is_ok()
}

/// A path that must be there. Java stumbles over a null one in the middle of the operation.
pub(super) fn present<'a>(path: &'a Text<'_>) -> Result<&'a str, ErrorCode> {
    path.as_deref().ok_or(ErrorCode::MarshallingError)
}

/// A path that must be there and be legal in all respects. Here Java does look for null.
pub(super) fn legal<'a>(path: &'a Text<'_>) -> Result<&'a str, ErrorCode> {
    let path = path.as_deref().ok_or(ErrorCode::BadArguments)?;
    validate_path(path).map_err(|_| ErrorCode::BadArguments)?;
    Ok(path)
}

/// The parent of a path that may be deleted (`PrepRequestProcessor#getParentPathAndValidate`).
fn deletable(path: &str) -> Result<&str, ErrorCode> {
    match parent_and_name(path) {
        Some((parent, _)) if !path.contains('\0') && !SPECIAL_PATHS.contains(&path) => Ok(parent),
        _ => Err(ErrorCode::BadArguments),
    }
}

/// Compares a version with the one expected (-1 is any), and counts it up.
pub(super) fn next_version(current: i32, expected: i32) -> Result<i32, ErrorCode> {
    if expected != -1 && expected != current {
        return Err(ErrorCode::BadVersion);
    }
    Ok(current.wrapping_add(1))
}

/// The data of a request, kept alive by its frame.
pub(super) fn owned_data(request: &WriteRequest, data: Option<&[u8]>) -> Option<Bytes> {
    data.map(|data| request.body.slice_ref(data))
}
