//! What a write must come to: the rules of each operation, told once more in the simplest way, on the state that all agreed on
//! before it.

use std::collections::BTreeMap;

use rookeeper_protocol::types::{Acl, CreateMode, EphemeralOwner, ErrorCode, Perms, Zxid};

use super::{Access, Op, Who};
use crate::checks::Ledger;

/// A znode as far as rules ask for it.
#[derive(Debug, Clone)]
struct Known {
    version: i32,
    acl: Vec<Acl>,
    children: usize,
    is_ephemeral: bool,
}

/// The state before a write, and what the parts of a multi have made of it so far.
pub(super) struct Expected<'a> {
    pub(super) ledger: &'a Ledger,
    /// What was agreed on up to here is the state.
    pub(super) before: Zxid,
    pub(super) who: Who,
    changed: BTreeMap<String, Option<Known>>,
}

impl<'a> Expected<'a> {
    pub(super) fn new(ledger: &'a Ledger, before: Zxid, who: Who) -> Self {
        Self { ledger, before, who, changed: BTreeMap::new() }
    }

    /// The error that the operation comes to, if its session may do anything, or that it comes to none. `None` if these
    /// rules do not tell.
    pub(super) fn judge(&mut self, op: &Op) -> Option<Result<(), ErrorCode>> {
        match op {
            Op::Create { path, mode, access, .. } => self.tells_of(path).then(|| self.create(path, *mode, *access)),
            Op::CreateTtl { path, .. } => {
                self.tells_of(path).then(|| self.create(path, CreateMode::PersistentWithTtl, Access::OPEN))
            }
            Op::Set { path, version, .. } => self.tells_of(path).then(|| {
                let known = self.change(path, Perms::WRITE, *version)?;
                self.changed.insert(path.clone(), Some(Known { version: known.version.wrapping_add(1), ..known }));
                Ok(())
            }),
            Op::Check { path, version } => {
                self.tells_of(path).then(|| self.change(path, Perms::READ, *version).map(|_| ()))
            }
            Op::SetAcl { path, access } => self.tells_of(path).then(|| {
                let acl = access.kept(self.who).ok_or(ErrorCode::InvalidAcl)?;
                let known = self.change(path, Perms::ADMIN, -1)?;
                self.changed.insert(path.clone(), Some(Known { acl, ..known }));
                Ok(())
            }),
            Op::Delete { path, version } => self.tells_of(path).then(|| self.delete(path, *version)),
            Op::Multi(parts) => parts.iter().try_fold(Ok(()), |so_far, part| match so_far {
                Ok(()) => self.judge(part),
                failed => Some(failed),
            }),
            _ => None,
        }
    }

    /// Servers have znodes of their own, and other rules for them.
    fn tells_of(&self, path: &str) -> bool {
        path.len() > 1 && !path.starts_with("/zookeeper")
    }

    fn known(&self, path: &str) -> Option<Known> {
        if let Some(changed) = self.changed.get(path) {
            return changed.clone();
        }
        let children = self.ledger.children_at(path, self.before);
        if path == "/" {
            let acl = self.ledger.acl_at(path, self.before).map_or(vec![Acl::open()], <[Acl]>::to_vec);
            return Some(Known { version: 0, acl, children, is_ephemeral: false });
        }
        let state = self.ledger.at(path, self.before)?;
        let acl = self.ledger.acl_at(path, self.before).unwrap_or_default().to_vec();
        let is_ephemeral = matches!(state.owner, EphemeralOwner::Session(_));
        Some(Known { version: state.version, acl, children, is_ephemeral })
    }

    fn ensure_may(&self, known: &Known, perm: i32) -> Result<(), ErrorCode> {
        if self.who.may(&known.acl, perm) { Ok(()) } else { Err(ErrorCode::NoAuth) }
    }

    /// A znode that is there, may be changed so, and has this version.
    fn change(&self, path: &str, perm: i32, version: i32) -> Result<Known, ErrorCode> {
        let known = self.known(path).ok_or(ErrorCode::NoNode)?;
        self.ensure_may(&known, perm)?;
        if version == -1 || version == known.version { Ok(known) } else { Err(ErrorCode::BadVersion) }
    }

    fn create(&mut self, path: &str, mode: CreateMode, access: Access) -> Result<(), ErrorCode> {
        let acl = access.kept(self.who).ok_or(ErrorCode::InvalidAcl)?;
        let parent_path = parent_of(path);
        let parent = self.known(parent_path).ok_or(ErrorCode::NoNode)?;
        self.ensure_may(&parent, Perms::CREATE)?;
        if !mode.is_sequential() && self.known(path).is_some() {
            return Err(ErrorCode::NodeExists);
        }
        if parent.is_ephemeral {
            return Err(ErrorCode::NoChildrenForEphemerals);
        }
        self.changed.insert(parent_path.to_owned(), Some(Known { children: parent.children + 1, ..parent }));
        if !mode.is_sequential() {
            let fresh = Known { version: 0, acl, children: 0, is_ephemeral: mode.is_ephemeral() };
            self.changed.insert(path.to_owned(), Some(fresh));
        }
        Ok(())
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<(), ErrorCode> {
        let parent_path = parent_of(path);
        let parent = self.known(parent_path).ok_or(ErrorCode::NoNode)?;
        self.ensure_may(&parent, Perms::DELETE)?;
        let known = self.known(path).ok_or(ErrorCode::NoNode)?;
        if version != -1 && version != known.version {
            return Err(ErrorCode::BadVersion);
        }
        if known.children > 0 {
            return Err(ErrorCode::NotEmpty);
        }
        self.changed
            .insert(parent_path.to_owned(), Some(Known { children: parent.children.saturating_sub(1), ..parent }));
        self.changed.insert(path.to_owned(), None);
        Ok(())
    }
}

fn parent_of(path: &str) -> &str {
    match path.rsplit_once('/') {
        Some((parent, _)) if !parent.is_empty() => parent,
        _ => "/",
    }
}
