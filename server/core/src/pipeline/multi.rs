//! Preparing a multi: all parts or none, under one zxid (`PrepRequestProcessor#pRequestHelper`).

use rookeeper_protocol::client::{CheckRequest, MultiKind, MultiOp, MultiRequest};
use rookeeper_protocol::txn::Txn;
use rookeeper_protocol::types::{ErrorCode, Perms};

use super::Pipeline;
use super::prepare::{Context, legal, next_version};

impl Pipeline {
    pub(super) fn prepare_multi(
        &mut self,
        context: &mut Context<'_>,
        multi: &MultiRequest<'_>,
    ) -> Result<Txn, ErrorCode> {
        // Java looks at all paths before it begins, and stumbles over a null one. For a list of reads under
        // the code of multi it prepares nothing, and stumbles over that.
        if multi.ops.iter().any(|op| op.kind() == MultiKind::Read || op_path_is_null(op)) {
            return Err(ErrorCode::MarshallingError);
        }
        let mut parts = Vec::with_capacity(multi.ops.len());
        let mut failed = None;
        self.outstanding.begin();
        for op in &multi.ops {
            let part = match failed {
                Some(_) => Err(ErrorCode::RuntimeInconsistency),
                None => self.prepare_part(context, op),
            };
            parts.push(part.unwrap_or_else(|code| {
                failed.get_or_insert(code);
                Txn::Error { code: code.number() }
            }));
        }
        if failed.is_some() {
            self.outstanding.roll_back();
            for delta in std::mem::take(&mut context.quota) {
                self.outstanding.take_quota(&delta);
            }
        } else {
            self.outstanding.keep();
        }
        // What Java stumbles over in a part fails the request, not the part.
        match failed {
            Some(ErrorCode::MarshallingError) => Err(ErrorCode::MarshallingError),
            _ => Ok(Txn::Multi(parts)),
        }
    }

    fn prepare_part(&mut self, context: &mut Context<'_>, op: &MultiOp<'_>) -> Result<Txn, ErrorCode> {
        match op {
            MultiOp::Create(op, create) => self.prepare_create(context, *op, create),
            MultiOp::Delete(delete) => self.prepare_delete(context, delete),
            MultiOp::SetData(set) => self.prepare_set_data(context, set),
            MultiOp::Check(check) => self.prepare_check(context, check),
            MultiOp::GetChildren(_) | MultiOp::GetData(_) => Err(ErrorCode::MarshallingError),
        }
    }

    fn prepare_check(&mut self, context: &mut Context<'_>, check: &CheckRequest<'_>) -> Result<Txn, ErrorCode> {
        self.check_session(&context.request.origin)?;
        let path = legal(&check.path)?;
        let record = self.outstanding.record(context.tree, path)?;
        self.check_acl(context, &record, Perms::READ)?;
        let version = next_version(record.stat.version, check.version)?;
        Ok(Txn::Check { path: path.into(), version })
    }
}

fn op_path_is_null(op: &MultiOp<'_>) -> bool {
    match op {
        MultiOp::Create(_, create) => create.path.is_none(),
        MultiOp::Delete(delete) => delete.path.is_none(),
        MultiOp::SetData(set) => set.path.is_none(),
        MultiOp::Check(check) => check.path.is_none(),
        MultiOp::GetChildren(read) | MultiOp::GetData(read) => read.path.is_none(),
    }
}
