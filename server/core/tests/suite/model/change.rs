//! The model's writes.

use std::cmp::Ordering;

use bytes::BytesMut;
use rookeeper_protocol::types::{Acl, CreateMode, OpCode, Perms};

use super::super::wire::*;
use super::{AclChoice, Context, Model, Node, Op, Outcome, Owner, SessionState, allow, parent_of};

fn is_legal(path: &str) -> bool {
    path == "/"
        || path.starts_with('/')
            && path[1..].split('/').all(|name| !["", ".", ".."].contains(&name) && !name.contains('\u{1}'))
}

fn resolve(choice: AclChoice, ids: &[String]) -> Result<Vec<Acl>, i32> {
    let list = match choice {
        AclChoice::Auth => ids.iter().map(|id| user_acl(Perms::ALL, id)).collect(),
        other => other.list(),
    };
    if list.is_empty() { Err(-114) } else { Ok(list) }
}

fn next(version: i32, expected: i32) -> Result<i32, i32> {
    if expected == -1 || expected == version { Ok(version + 1) } else { Err(-103) }
}

impl Model {
    pub(super) fn multi(&mut self, context: &Context, ops: &[Op]) -> BytesMut {
        let before = self.nodes.clone();
        let mut parts = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            // In a multi the container's flag counts under every code.
            let op = match op {
                Op::Create { path, data, acl, flags: 4, ttl_ms, .. } => {
                    let (op, path, data) = (OpCode::CreateContainer, path.clone(), data.clone());
                    &Op::Create { op, path, data, acl: *acl, flags: 4, ttl_ms: *ttl_ms }
                }
                op => op,
            };
            match self.change(context, op) {
                Ok(body) => parts.push((self.result_number(op), 0, body)),
                Err(code) => {
                    self.nodes = before;
                    self.changes.clear();
                    let told = |at: usize| match at.cmp(&index) {
                        Ordering::Less => 0,
                        Ordering::Equal => code,
                        Ordering::Greater => -2,
                    };
                    parts = (0..ops.len()).map(|at| failed(told(at))).collect();
                    break;
                }
            }
        }
        results(&parts)
    }

    fn result_number(&self, op: &Op) -> i32 {
        match op {
            Op::Create { op: OpCode::Create, .. } => 1,
            Op::Create { .. } => 15,
            Op::Delete { .. } => 2,
            Op::SetData { .. } => 5,
            Op::Check { .. } => 13,
            other => panic!("{other:?}"),
        }
    }

    fn session_of(context: &Context, ephemeral: bool) -> Result<(), i32> {
        match context.state {
            SessionState::Open => Ok(()),
            SessionState::Gone if !ephemeral => Err(-12),
            _ => Err(-112),
        }
    }

    pub(super) fn node(&self, path: &str) -> Result<&Node, i32> {
        self.nodes.get(path).ok_or(-101)
    }

    pub(super) fn change(&mut self, context: &Context, op: &Op) -> Outcome {
        match op {
            Op::Create { op, path, data, acl, flags, ttl_ms } => {
                self.create(context, *op, path, data.clone(), *acl, *flags, *ttl_ms)
            }
            Op::Delete { path, version } => {
                Self::session_of(context, false)?;
                let special = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
                let parent = parent_of(path).filter(|_| !special.contains(&path.as_str())).ok_or(-8)?;
                allow(&self.node(&parent)?.acl, Perms::DELETE, &context.ids)?;
                next(self.node(path)?.version, *version)?;
                self.empty(path)?;
                self.remove(path, context.zxid);
                Ok(BytesMut::new())
            }
            Op::SetData { path, data, version } => {
                Self::session_of(context, false)?;
                is_legal(path).then_some(()).ok_or(-8)?;
                allow(&self.node(path)?.acl, Perms::WRITE, &context.ids)?;
                let version = next(self.node(path)?.version, *version)?;
                let node = self.nodes.get_mut(path).unwrap();
                node.data = Some(data.clone());
                (node.version, node.mzxid, node.mtime) = (version, context.zxid, context.time);
                self.changes.push((DATA, path.clone(), node.acl.clone()));
                Ok(stat_bytes(&self.stat(path)))
            }
            Op::SetAcl { path, acl, version } => {
                Self::session_of(context, false)?;
                is_legal(path).then_some(()).ok_or(-8)?;
                let acl = resolve(*acl, &context.ids)?;
                allow(&self.node(path)?.acl, Perms::ADMIN, &context.ids)?;
                let aversion = next(self.node(path)?.aversion, *version)?;
                let node = self.nodes.get_mut(path).unwrap();
                (node.acl, node.aversion) = (acl, aversion);
                Ok(stat_bytes(&self.stat(path)))
            }
            Op::Check { path, version } => {
                Self::session_of(context, false)?;
                is_legal(path).then_some(()).ok_or(-8)?;
                allow(&self.node(path)?.acl, Perms::READ, &context.ids)?;
                next(self.node(path)?.version, *version)?;
                Ok(BytesMut::new())
            }
            other => panic!("{other:?}"),
        }
    }

    #[allow(clippy::too_many_arguments)] // The fields of one operation.
    fn create(
        &mut self,
        context: &Context,
        op: OpCode,
        path: &str,
        data: Option<Vec<u8>>,
        acl: AclChoice,
        flags: i32,
        ttl_ms: i64,
    ) -> Outcome {
        let mode = CreateMode::from_flags(flags).ok_or(-8)?;
        let legal_ttl = if flags >= 5 { ttl_ms > 0 } else { ttl_ms < 0 && op != OpCode::CreateTtl };
        legal_ttl.then_some(()).ok_or(-8)?;
        Self::session_of(context, mode.is_ephemeral())?;
        let parent = parent_of(path).ok_or(-8)?;
        let acl = resolve(acl, &context.ids)?;
        allow(&self.node(&parent)?.acl, Perms::CREATE, &context.ids)?;
        let number = self.node(&parent)?.created;
        let path = if mode.is_sequential() { format!("{path}{number:010}") } else { path.to_owned() };
        is_legal(&path).then_some(()).ok_or(-8)?;
        if self.nodes.contains_key(&path) {
            return Err(-110);
        }
        if matches!(self.node(&parent)?.owner, Owner::Session(_)) {
            return Err(-108);
        }
        let owner = match op {
            OpCode::CreateContainer => Owner::Container,
            OpCode::CreateTtl => Owner::Ttl(ttl_ms),
            _ if mode.is_ephemeral() => Owner::Session(context.session),
            _ => Owner::Nobody,
        };
        let Context { zxid, time, .. } = *context;
        let node = Node {
            data,
            acl: acl.clone(),
            owner,
            czxid: zxid,
            mzxid: zxid,
            pzxid: zxid,
            ctime: time,
            mtime: time,
            version: 0,
            aversion: 0,
            created: 0,
        };
        self.nodes.insert(path.clone(), node);
        let above = self.nodes.get_mut(&parent).unwrap();
        above.created += 1;
        above.pzxid = zxid;
        self.changes.push((CREATED, path.clone(), acl));
        self.changes.push((CHILDREN, parent, above.acl.clone()));
        Ok(if op == OpCode::Create { text(&path) } else { path_and_stat(&path, &self.stat(&path)) })
    }

    pub(super) fn remove_unneeded(&mut self, context: &Context, path: &str) -> Outcome {
        let owner = self.node(path)?.owner;
        self.empty(path)?;
        if !matches!(owner, Owner::Container | Owner::Ttl(_)) {
            return Err(-103);
        }
        self.remove(path, context.zxid);
        Ok(BytesMut::new())
    }

    pub(super) fn remove(&mut self, path: &str, zxid: i64) {
        let node = self.nodes.remove(path).unwrap();
        let parent = parent_of(path).unwrap();
        let above = self.nodes.get_mut(&parent).unwrap();
        above.pzxid = zxid;
        self.changes.push((DELETED, path.to_owned(), node.acl));
        self.changes.push((CHILDREN, parent, above.acl.clone()));
    }
}
