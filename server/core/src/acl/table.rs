//! The access control lists of the tree, each stored once (`ReferenceCountedACLCache`).

use std::collections::BTreeMap;

use rookeeper_protocol::types::{AclList, Perms};

/// Number of a list in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclId(pub u32);

#[derive(Debug)]
struct Entry {
    list: AclList,
    /// Znodes that use it.
    uses: u32,
    /// Permissions that everybody has, so that the usual check is one comparison.
    world: i32,
}

/// Lists by number, numbers by list.
///
/// A number is taken back when its last znode goes. It never leaves this process: what is stored and sent
/// carries the lists themselves, so that a number can never come to mean another list.
#[derive(Debug, Default)]
pub struct AclTable {
    entries: Vec<Option<Entry>>,
    numbers: BTreeMap<AclList, u32>,
    free: Vec<u32>,
}

impl AclTable {
    /// The number of a list, with one more use.
    pub fn acquire(&mut self, list: &AclList) -> AclId {
        if let Some(number) = self.numbers.get(list) {
            if let Some(entry) = &mut self.entries[*number as usize] {
                entry.uses += 1;
            }
            return AclId(*number);
        }
        let entry = Some(Entry { list: list.clone(), uses: 1, world: world_permissions(list) });
        let number = match self.free.pop() {
            Some(free) => {
                self.entries[free as usize] = entry;
                free
            }
            None => {
                self.entries.push(entry);
                (self.entries.len() - 1) as u32
            }
        };
        self.numbers.insert(list.clone(), number);
        AclId(number)
    }

    /// One use less.
    pub fn release(&mut self, id: AclId) {
        let Some(slot) = self.entries.get_mut(id.0 as usize) else { return };
        let Some(entry) = slot else { return };
        entry.uses -= 1;
        if entry.uses == 0 {
            self.numbers.remove(&entry.list);
            *slot = None;
            self.free.push(id.0);
        }
    }

    /// The list of this number.
    pub fn list(&self, id: AclId) -> AclList {
        match self.entries.get(id.0 as usize) {
            Some(Some(entry)) => entry.list.clone(),
            _ => AclList::from([]),
        }
    }

    /// The list of this number, borrowed.
    pub fn entries(&self, id: AclId) -> &[rookeeper_protocol::types::Acl] {
        match self.entries.get(id.0 as usize) {
            Some(Some(entry)) => &entry.list,
            _ => &[],
        }
    }

    /// Whether everybody has one of these permissions, whoever asks.
    pub fn permits_world(&self, id: AclId, perms: i32) -> bool {
        match self.entries.get(id.0 as usize) {
            Some(Some(entry)) => entry.world & perms != 0,
            _ => true,
        }
    }

    /// Number of different lists.
    pub fn len(&self) -> usize {
        self.numbers.len()
    }

    /// Whether there is no list.
    pub fn is_empty(&self) -> bool {
        self.numbers.is_empty()
    }
}

/// An empty list is no restriction (`ZooKeeperServer#checkACL`).
fn world_permissions(list: &AclList) -> i32 {
    if list.is_empty() {
        return Perms::ALL;
    }
    let world = list.iter().filter(|acl| acl.id.has_scheme("world") && acl.id.id.as_deref() == Some("anyone"));
    world.fold(0, |perms, acl| perms | acl.perms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rookeeper_protocol::types::{Acl, Id};

    #[test]
    fn lists_are_shared_and_numbers_reused() {
        let mut table = AclTable::default();
        let open: AclList = [Acl::open()].into();
        let closed: AclList = [Acl { perms: Perms::READ, id: Id::new("digest", "a:b") }].into();
        let first = table.acquire(&open);
        assert_eq!(table.acquire(&open), first);
        let second = table.acquire(&closed);
        assert_ne!(first, second);
        assert!(table.permits_world(first, Perms::ADMIN) && !table.permits_world(second, Perms::READ));
        table.release(first);
        assert_eq!(table.list(first), open);
        table.release(first);
        assert_eq!(table.len(), 1);
        assert_eq!(table.acquire(&[Acl::read_only()].into()), first);
        assert_eq!(table.list(second), closed);
    }
}
