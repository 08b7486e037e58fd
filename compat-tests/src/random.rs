//! Scripts made from a seed: all operations, several connections, few paths, so that they meet.

use rookeeper_protocol::types::OpCode;

use crate::body::{Acls, Body, Text};
use crate::request::*;
use crate::rng::Rng;
use crate::script::{Control, Hello, Script};

/// Connections of a script.
const CONNECTIONS: usize = 4;

/// Requests between two looks at the other connections; at most so many are on their way at once.
const BURST_MAX: usize = 6;

/// Names of znodes; few, so that operations meet.
const NAMES: [&str; 6] = ["a", "b", "a/x", "a/y", "b/x", "a/x/d"];

/// Names that no znode can have, or that belong to nobody.
const ODD_NAMES: [&str; 8] = ["a/", "/a", "a//b", ".", "a/..", "\u{1}", "missing/x/y", "a\0b"];

/// `user:` and the digest of `user:pw`.
const USER_ID: &str = "user:2Om+GBbT2q/tS6pdvACZbbm7/1A=";

/// What a script is made of.
#[derive(Debug)]
pub struct Generator {
    rng: Rng,
    script: Script,
    /// The names of the connections; a new one takes a lost one's place.
    conns: Vec<String>,
    made: usize,
    extended: bool,
}

/// A script of so many pieces of work, on znodes below `/name`. `extended` tells whether the servers know the modes that
/// 3.5 brought. The steps depend on the seed alone: under another name, they are the same in other places.
pub fn script(name: &str, seed: u64, length: usize, extended: bool) -> Script {
    let script = Script::new(name);
    let mut generator = Generator { rng: Rng::new(seed), script, conns: Vec::new(), made: 0, extended };
    for index in 0..CONNECTIONS {
        generator.conns.push(String::new());
        generator.connect(index, None);
    }
    for _ in 0..length {
        generator.work();
    }
    generator.script
}

impl Generator {
    fn connect(&mut self, index: usize, resumed: Option<&str>) {
        self.made += 1;
        let conn = format!("c{}", self.made);
        self.script.connect_with(&conn, resumed.map_or_else(Hello::default, Hello::resume));
        if self.rng.one_in(3) {
            self.script.call(&conn, auth("digest", Some(b"user:pw")));
        }
        self.conns[index] = conn;
    }

    fn work(&mut self) {
        match self.rng.below(400) {
            0 => self.restart(),
            1..=4 => self.leave(),
            5..=9 => self.take_over(),
            10..=19 => self.catch_up(),
            20..=39 => self.look(),
            _ => self.burst(),
        }
    }

    /// A few requests on one connection without waiting, then all that came of it on all connections.
    fn burst(&mut self) {
        let conn = self.rng.pick(&self.conns).clone();
        let count = 1 + self.rng.below(BURST_MAX);
        for _ in 0..count {
            let request = self.request();
            // Java takes auth and sasl out of turn, and may judge a write behind a setACL by the old list: there is no
            // order to be compared around these.
            let alone = [OpCode::SetAcl, OpCode::Auth, OpCode::Sasl].map(OpCode::number).contains(&request.op);
            if alone {
                self.script.replies(&conn);
            }
            self.script.send(&conn, request);
            if alone {
                self.script.replies(&conn);
            }
        }
        self.script.replies(&conn);
        self.settle();
    }

    fn settle(&mut self) {
        for conn in self.conns.clone() {
            self.script.settle(&conn);
        }
    }

    fn restart(&mut self) {
        self.settle();
        let control = if self.rng.one_in(3) { Control::StopAndRestart } else { Control::KillAndRestart };
        self.script.restart(control);
        for index in 0..self.conns.len() {
            let old = self.conns[index].clone();
            self.connect(index, Some(&old));
        }
    }

    fn leave(&mut self) {
        let index = self.rng.below(self.conns.len());
        let conn = self.conns[index].clone();
        self.script.close_session(&conn);
        self.settle_others(index);
        self.connect(index, None);
    }

    fn take_over(&mut self) {
        let index = self.rng.below(self.conns.len());
        let old = self.conns[index].clone();
        let dropped = self.rng.one_in(2);
        if dropped {
            self.script.drop_connection(&old);
        }
        self.connect(index, Some(&old));
        if !dropped {
            self.script.closed(&old);
        }
    }

    fn settle_others(&mut self, index: usize) {
        for (other, conn) in self.conns.clone().into_iter().enumerate() {
            if other != index {
                self.script.settle_after_session(&conn);
            }
        }
    }

    fn catch_up(&mut self) {
        let conn = self.rng.pick(&self.conns).clone();
        let mut lists: [Vec<String>; 5] = Default::default();
        for list in &mut lists {
            for _ in 0..self.rng.below(3) {
                list.push(self.path());
            }
        }
        // Somewhere in the script's past.
        let seen = self.rng.below(1 + self.made + self.script.steps.len() / 4) as i64;
        let lists: [Vec<&str>; 5] = lists.each_ref().map(|list| list.iter().map(String::as_str).collect());
        let request = if self.rng.one_in(2) {
            set_watches(seen, [&lists[0], &lists[1], &lists[2]])
        } else {
            set_watches2(seen, [&lists[0], &lists[1], &lists[2], &lists[3], &lists[4]])
        };
        self.script.call(&conn, request);
        self.settle();
    }

    fn look(&mut self) {
        self.settle();
        self.script.ask("wchp");
    }

    fn path(&mut self) -> String {
        let name = match self.rng.below(40) {
            0 => return "/zookeeper/quota".to_owned(),
            1 => return String::new(),
            2 | 3 => "",
            4 => *self.rng.pick(&ODD_NAMES),
            5..=8 => return self.script.path(&format!("a/s-{:010}", self.rng.below(6))),
            _ => *self.rng.pick(&NAMES),
        };
        self.script.path(name)
    }

    /// A path that is only read: the root, too, but not its children, which are those of all scripts.
    fn path_read(&mut self) -> Text {
        if self.rng.one_in(60) { Text::Null } else { self.path().into() }
    }

    fn data(&mut self) -> Option<Vec<u8>> {
        match self.rng.below(8) {
            0 => None,
            1 => Some(Vec::new()),
            2 => Some(vec![b'x'; self.rng.below(2000)]),
            _ => Some(format!("{}", self.rng.below(100)).into_bytes()),
        }
    }

    fn version(&mut self) -> i32 {
        match self.rng.below(10) {
            0..=4 => -1,
            5..=8 => i32::try_from(self.rng.below(4)).unwrap_or(0),
            _ => -2,
        }
    }

    fn acls(&mut self) -> Acls {
        match self.rng.below(24) {
            0 => Acls::empty(),
            1 => Acls::one(31, "auth", ""),
            2 => Acls::list(&[(31, "digest", USER_ID), (1, "world", "anyone")]),
            3 => Acls::list(&[(31, "digest", USER_ID), (30, "world", "anyone")]),
            4 => Acls::one(31, "ip", "127.0.0.1"),
            5 => Acls::one(31, "nonsense", "x"),
            6 => Acls::list(&[(31, "world", "anyone"), (31, "world", "anyone")]),
            _ => Acls::open(),
        }
    }

    fn flags(&mut self) -> i32 {
        match self.rng.below(20) {
            0..=8 => 0,
            9..=12 => 1,
            13..=15 => 2,
            16 | 17 => 3,
            18 => 4,
            _ => *self.rng.pick(&[5, 6, 7, -1]),
        }
    }

    fn create_path(&mut self, flags: i32) -> String {
        if matches!(flags, 2 | 3 | 6) && !self.rng.one_in(4) {
            let name = *self.rng.pick(&["a/s-", "b/s-", "s-"]);
            return self.script.path(name);
        }
        self.path()
    }

    fn create(&mut self) -> Request {
        let flags = self.flags();
        let (path, data, acls) = (self.create_path(flags), self.data(), self.acls());
        match self.rng.below(8) {
            0..=3 => create(path, data.as_deref(), &acls, flags),
            4 | 5 => create2(path, data.as_deref(), &acls, flags),
            6 => create_op(OpCode::CreateContainer, path, data.as_deref(), &acls, 4),
            // Far away, so that none goes while the script is played.
            _ if self.extended => {
                create_ttl(path, data.as_deref(), &acls, 5 + i32::from(self.rng.one_in(2)), 1_000_000_000)
            }
            _ => create_ttl(path, data.as_deref(), &acls, 5, 1000),
        }
    }

    fn write(&mut self) -> Request {
        match self.rng.below(12) {
            0..=4 => self.create(),
            5..=7 => set(self.path(), self.data().as_deref(), self.version()),
            _ => delete(self.path(), self.version()),
        }
    }

    fn read(&mut self) -> Request {
        let watch = self.rng.one_in(3);
        match self.rng.below(10) {
            0..=2 => get(self.path_read(), watch),
            3 | 4 => exists(self.path_read(), watch),
            5 => get_acl(self.path_read()),
            6 => ephemerals(self.script.path("")),
            7 => sync(self.path_read()),
            _ => {
                let path = match self.path() {
                    root if root.is_empty() => self.script.path(""),
                    path => path,
                };
                match self.rng.below(3) {
                    0 => children(path, watch),
                    1 => children2(path, watch),
                    _ => count_descendants(path),
                }
            }
        }
    }

    fn parts(&mut self, reads: bool) -> Vec<Request> {
        let count = self.rng.below(6);
        (0..count)
            .map(|_| match (reads, self.rng.below(20)) {
                (_, 0) => exists(self.path(), false),
                (true, 1..=9) => get(self.path(), true),
                (true, _) => children(format!("{}/a", self.script.path("")), true),
                (false, 1..=5) => check(self.path(), self.version()),
                (false, _) => self.write(),
            })
            .collect()
    }

    fn request(&mut self) -> Request {
        match self.rng.below(100) {
            0..=39 => self.write(),
            40..=64 => self.read(),
            65..=74 => multi(&self.parts(false)),
            75..=77 => multi_read(&self.parts(true)),
            78..=80 => set_acl(self.path(), &self.acls(), self.version()),
            81..=85 => add_watch(self.path(), i32::try_from(self.rng.below(3)).unwrap_or(0)),
            86..=89 => {
                let op = if self.rng.one_in(2) { OpCode::CheckWatches } else { OpCode::RemoveWatches };
                watches(op, self.path(), i32::try_from(self.rng.below(7)).unwrap_or(0))
            }
            90..=92 => bare(OpCode::Ping),
            93 => bare(OpCode::WhoAmI),
            94 => auth("digest", Some(b"user:pw")),
            95 => Request::new(OpCode::Sasl, Body::new().buffer(Some(b"x")), String::new()),
            96 => reconfig("", "", "", -1),
            97 => {
                let request = self.write();
                let length = request.body.bytes(0).len();
                request.cut(self.rng.below(length))
            }
            98 => {
                let request = self.read();
                let length = request.body.bytes(0).len();
                request.cut(self.rng.below(length))
            }
            _ => set(self.path(), Some(&vec![7; 100_000]), -1),
        }
    }
}
