//! The model's reads, and its watches.

use std::collections::BTreeSet;

use bytes::BytesMut;
use rookeeper_protocol::jute::Writer;
use rookeeper_protocol::types::{Acl, OpCode, Perms, write_acls};

use super::super::wire::*;
use super::{Kind, Model, Op, Outcome, Owner, allow, may};

impl Model {
    /// Tells everybody who watches, in the order of the connections.
    pub(super) fn fire(&mut self, event: i32, path: &str, acl: &[Acl]) {
        let kinds: &[Kind] = match event {
            CHILDREN => &[Kind::Child, Kind::Persistent],
            DELETED => &[Kind::Data, Kind::Child, Kind::Persistent],
            _ => &[Kind::Data, Kind::Persistent],
        };
        // The root has a second name, but not for watches.
        let below = |at: &str| at == "/" || path == at || !at.is_empty() && path.starts_with(&format!("{at}/"));
        let fires = |(at, _, kind): &&(String, u32, Kind)| match kind {
            Kind::Recursive => event != CHILDREN && below(at),
            kind => at == path && kinds.contains(kind),
        };
        let fired: Vec<(String, u32, Kind)> = self.watches.iter().filter(fires).cloned().collect();
        let told: BTreeSet<u32> = fired.iter().map(|(_, conn, _)| *conn).collect();
        for watch in fired.into_iter().filter(|(_, _, kind)| matches!(kind, Kind::Data | Kind::Child)) {
            self.watches.remove(&watch);
        }
        for conn in told {
            let client = self.clients.get_mut(&conn).unwrap();
            if !client.over && may(acl, Perms::READ, &client.ids) {
                client.out.push(super::super::wire::event(self.zxid, event, path));
            }
        }
    }

    pub(super) fn read(&mut self, conn: u32, xid: i32, op: &Op, ids: &[String]) {
        let xid = if matches!(op, Op::Ping) { -2 } else { xid };
        let sent = match self.result_of_read(conn, op, ids) {
            Ok(body) => answer(xid, self.zxid, body),
            Err(code) => reply(xid, self.zxid, code),
        };
        self.clients.get_mut(&conn).unwrap().out.push(sent);
    }

    fn result_of_read(&mut self, conn: u32, op: &Op, ids: &[String]) -> Outcome {
        // The root has a second name.
        let key = |path: &String| if path.is_empty() { "/".to_owned() } else { path.clone() };
        match op {
            Op::Ping => Ok(BytesMut::new()),
            Op::Read { op: OpCode::Exists, path, watch } => {
                if let Some(node) = self.nodes.get(&key(path)) {
                    allow(&node.acl, Perms::READ, ids)?;
                }
                self.watch(*watch, conn, path, Kind::Data);
                self.node(&key(path))?;
                Ok(stat_bytes(&self.stat(&key(path))))
            }
            Op::Read { op, path, watch } => {
                allow(&self.node(&key(path))?.acl, Perms::READ, ids)?;
                let kind = if *op == OpCode::GetData { Kind::Data } else { Kind::Child };
                self.watch(*watch, conn, path, kind);
                Ok(bytes(|out| {
                    if *op == OpCode::GetData {
                        out.buffer(self.nodes[&key(path)].data.as_deref());
                    } else {
                        names(out, &self.children(&key(path)));
                    }
                    if *op != OpCode::GetChildren {
                        self.stat(&key(path)).write(out);
                    }
                }))
            }
            Op::ByPath { op: OpCode::Sync, path } => Ok(text(path)),
            Op::ByPath { op: OpCode::GetAcl, path } => {
                let acl = self.node(&key(path))?.acl.clone();
                allow(&acl, Perms::READ | Perms::ADMIN, ids)?;
                Ok(bytes(|out| {
                    let hide = |acl: &Acl| match acl.id.id.as_deref().unwrap().split_once(':') {
                        Some((user, _)) => user_acl(acl.perms, &format!("{user}:x")),
                        None => acl.clone(),
                    };
                    let hidden: Vec<Acl> = acl.iter().map(hide).collect();
                    write_acls(out, if may(&acl, Perms::ADMIN, ids) { &acl } else { &hidden });
                    self.stat(&key(path)).write(out);
                }))
            }
            Op::ByPath { op: OpCode::GetEphemerals, path } => {
                let owner = Owner::Session(self.clients[&conn].session);
                // Java trims control characters as well.
                let all = ["", "/"].contains(&path.trim_matches(|character| character <= ' '));
                let mine = self
                    .nodes
                    .iter()
                    .filter(|(at, node)| node.owner == owner && (all || at.starts_with(path.as_str())));
                let mine: Vec<&str> = mine.map(|(at, _)| at.as_str()).collect();
                Ok(bytes(|out| names(out, &mine)))
            }
            Op::ByPath { op: OpCode::GetAllChildrenNumber, path } => {
                allow(&self.node(&key(path))?.acl, Perms::READ, ids)?;
                // For `/` Java takes its two names off, for the empty name only one.
                let prefix = if path == "/" { "/" } else { &format!("{path}/") };
                let below = self.nodes.keys().filter(|at| at.starts_with(prefix)).count();
                Ok(bytes(|out| out.int(below as i32 - i32::from(path == "/"))))
            }
            Op::ByNumber { op, path, number } => self.watch_request(conn, *op, path, *number),
            Op::MultiRead(paths) => {
                let part = |path: &String| match self.node(&key(path)) {
                    Err(code) => failed(code),
                    Ok(node) if !may(&node.acl, Perms::READ, ids) => failed(-102),
                    Ok(node) => {
                        let data = bytes(|out| {
                            out.buffer(node.data.as_deref());
                            self.stat(&key(path)).write(out);
                        });
                        (4, 0, data)
                    }
                };
                Ok(results(&paths.iter().map(part).collect::<Vec<_>>()))
            }
            Op::SetWatches { since, lists } => {
                self.catch_up(conn, *since, lists, key);
                Ok(BytesMut::new())
            }
            other => panic!("{other:?}"),
        }
    }

    fn watch(&mut self, wanted: bool, conn: u32, path: &str, kind: Kind) {
        if wanted {
            self.watches.insert((path.to_owned(), conn, kind));
        }
    }

    fn watch_request(&mut self, conn: u32, op: OpCode, path: &str, number: i32) -> Outcome {
        let all = [Kind::Child, Kind::Data, Kind::Persistent, Kind::Recursive];
        if op == OpCode::AddWatch {
            let kind = [Kind::Persistent, Kind::Recursive].get(number as usize).ok_or(-5)?;
            self.watch(true, conn, path, *kind);
            return Ok(bytes(|out| out.int(0)));
        }
        let kinds: &[Kind] = match number {
            1 => &all[..1],
            2 => &all[1..2],
            3 => &all,
            4 => &all[2..3],
            5 => &all[3..],
            _ => return Err(-5),
        };
        let found: Vec<_> = kinds
            .iter()
            .map(|kind| (path.to_owned(), conn, *kind))
            .filter(|watch| self.watches.contains(watch))
            .collect();
        if op == OpCode::RemoveWatches {
            found.iter().for_each(|watch| assert!(self.watches.remove(watch)));
        }
        if found.is_empty() { Err(-121) } else { Ok(BytesMut::new()) }
    }

    fn catch_up(&mut self, conn: u32, since: i64, lists: &[Vec<String>; 5], key: impl Fn(&String) -> String) {
        let missed = |event, path: &str| super::super::wire::event(-1, event, path);
        for (index, list) in lists.iter().enumerate() {
            for path in list {
                let node = self.nodes.get(&key(path));
                let happened = match (index, node) {
                    (0, Some(node)) if node.mzxid > since => Some(DATA),
                    (1, Some(_)) => Some(CREATED),
                    (2, Some(node)) if node.pzxid > since => Some(CHILDREN),
                    (0 | 2, None) => Some(DELETED),
                    _ => None,
                };
                let kind = [Kind::Data, Kind::Data, Kind::Child, Kind::Persistent, Kind::Recursive][index];
                match happened {
                    Some(event) => self.clients.get_mut(&conn).unwrap().out.push(missed(event, path)),
                    None => self.watch(true, conn, path, kind),
                }
            }
        }
    }
}
