//! Preparing a create (`PrepRequestProcessor#pRequest2TxnCreate`).

use std::sync::Arc;

use rookeeper_protocol::client::CreateRequest;
use rookeeper_protocol::txn::{CreateTxn, Txn};
use rookeeper_protocol::types::{
    CreateMode, EphemeralOwner, ErrorCode, OpCode, Perms, SessionId, StatPersisted, TTL_MS_MAX, parent_and_name,
    validate_path,
};

use super::Pipeline;
use super::outstanding::{AclSource, DataSource, Record};
use super::prepare::{Context, owned_data, present};
use crate::tree::{LIMIT_NODE, QUOTA};

impl Pipeline {
    pub(super) fn prepare_create(
        &mut self,
        context: &mut Context<'_>,
        op: OpCode,
        create: &CreateRequest<'_>,
    ) -> Result<Txn, ErrorCode> {
        let mode = CreateMode::from_flags(create.flags).ok_or(ErrorCode::BadArguments)?;
        self.check_mode(context, op, mode, create.ttl_ms)?;
        let path = present(&create.path)?;
        let (parent_path, _) = parent_and_name(path).ok_or(ErrorCode::BadArguments)?;
        if path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let acl = self.normalize_acl(context, create.acl.as_deref())?;
        let mut parent = self.outstanding.record(context.tree, parent_path)?;
        self.check_acl(context, &parent, Perms::CREATE)?;
        let path: Arc<str> = match mode.is_sequential() {
            true => sequential(path, parent.stat.cversion).into(),
            false => path.into(),
        };
        validate_path(&path).map_err(|_| ErrorCode::BadArguments)?;
        if self.outstanding.record(context.tree, &path).is_ok() {
            return Err(ErrorCode::NodeExists);
        }
        let types = context.tree.rules().extended_types;
        let parent_owner = EphemeralOwner::decode(parent.stat.ephemeral_owner, types);
        if matches!(parent_owner, Ok(EphemeralOwner::Session(_))) {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        if parent_path == QUOTA && path.ends_with(LIMIT_NODE) && path.len() == QUOTA.len() + 1 + LIMIT_NODE.len() {
            // A quota on no path: it would kill a Java server, now and at every start.
            return Err(ErrorCode::BadArguments);
        }
        let data = owned_data(context.request, create.data);
        let data_len = data.as_ref().map_or(0, bytes::Bytes::len) as i64;
        self.check_quota(context.tree, &path, 1, data_len, &mut context.quota)?;

        let parent_cversion = parent.stat.cversion.wrapping_add(1);
        let owner = self.owner(context.request.origin.session, op, mode, create.ttl_ms);
        let stat = StatPersisted::created(context.zxid, context.wall_ms, owner.encode());
        parent.num_children += 1;
        parent.stat.cversion = parent_cversion;
        parent.stat.pzxid = context.zxid;
        let parent_path = self.outstanding.key(parent_path);
        self.outstanding.put(context.tree, context.zxid, parent_path, parent);
        let record = Record {
            stat,
            num_children: 0,
            acl: AclSource::Proposed(acl.clone()),
            data: DataSource::Proposed(data.clone()),
            digest: 0,
        };
        self.outstanding.put(context.tree, context.zxid, path.clone(), record);

        let create = CreateTxn { path, data, acl, parent_cversion };
        Ok(match owner {
            EphemeralOwner::Container => Txn::CreateContainer(create),
            EphemeralOwner::Ttl(ttl_ms) => Txn::CreateTtl { create, ttl_ms },
            EphemeralOwner::Session(_) => Txn::Create { op, create, ephemeral: true },
            EphemeralOwner::None => Txn::Create { op, create, ephemeral: false },
        })
    }

    /// Mode, TTL and session, in Java's order (`PrepRequestProcessor#validateCreateRequest`).
    fn check_mode(
        &mut self,
        context: &Context<'_>,
        op: OpCode,
        mode: CreateMode,
        ttl_ms: i64,
    ) -> Result<(), ErrorCode> {
        if mode.is_ttl() && !context.tree.rules().extended_types.enabled {
            return Err(ErrorCode::Unimplemented);
        }
        let ttl_fits = if mode.is_ttl() { (1..=TTL_MS_MAX).contains(&ttl_ms) } else { ttl_ms < 0 };
        // A createTTL without a TTL mode passes in Java, and kills the server once it is applied.
        if !ttl_fits || (op == OpCode::CreateTtl && !mode.is_ttl()) {
            return Err(ErrorCode::BadArguments);
        }
        match mode.is_ephemeral() {
            true => self.check_owner(&context.request.origin),
            false => self.check_session(&context.request.origin),
        }
    }

    /// The operation decides the kind of transaction, the mode decides about session and number: a plain
    /// create with the container's flag makes a persistent znode.
    fn owner(&self, session: SessionId, op: OpCode, mode: CreateMode, ttl_ms: i64) -> EphemeralOwner {
        match op {
            OpCode::CreateContainer => EphemeralOwner::Container,
            OpCode::CreateTtl => EphemeralOwner::Ttl(ttl_ms),
            _ if mode.is_ephemeral() => EphemeralOwner::Session(session),
            _ => EphemeralOwner::None,
        }
    }
}

/// Appends the parent's count of created children; negative numbers have a sign and ten digits as well.
fn sequential(path: &str, number: i32) -> String {
    // `%010d` counts the sign among its ten places.
    format!("{path}{number:010}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_javas() {
        assert_eq!(sequential("/a-", 7), "/a-0000000007");
        assert_eq!(sequential("/a-", i32::MAX), "/a-2147483647");
        assert_eq!(sequential("/a-", -7), "/a--000000007");
        assert_eq!(sequential("/a-", i32::MIN), "/a--2147483648");
    }
}
