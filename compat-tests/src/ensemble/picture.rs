//! What a member has: every znode with data, Stat and access control list, and the digest of the tree.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{OpCode, Stat};

use super::Ensemble;
use crate::control::ControlClient;
use crate::request::{set, sync};
use crate::server::{Kind, PATIENCE, POLL, Server};
use crate::view::hex;

/// Length of a reply's header.
const HEADER: usize = 16;

/// Znodes that a report shows.
const REPORTED: usize = 8;

/// A member notes its digest at every multiple of this many zxids (`DataTree.DIGEST_LOG_INTERVAL`).
const DIGEST_INTERVAL: i64 = 128;

/// The znode that is written until a zxid with a digest comes.
const DIGEST_PATH: &str = "/digest";

/// Each member makes this znode by itself when it joins, at its own time.
const CONFIG_PATH: &str = "/zookeeper/config";

/// A tree: for each path what the member answered, as text.
pub type Picture = BTreeMap<String, Vec<String>>;

/// Takes the picture of a member, after it has caught up with the leader.
pub fn take(address: SocketAddr) -> Result<Picture, String> {
    let mut control = ControlClient::connect(address)?;
    let (error, _) = control.call(&sync("/"))?;
    if error != 0 {
        return Err(format!("{address}: sync is answered with {error}"));
    }
    let mut picture = Picture::new();
    control.walk("/", &mut |path, op, frame| {
        let text = describe(path, op, &frame).unwrap_or_else(|| hex(&frame));
        picture.entry(path.to_owned()).or_default().push(text);
    })?;
    control.close()?;
    Ok(picture)
}

/// A reply without what is not the tree's: the header, the order of children.
fn describe(path: &str, op: i32, frame: &[u8]) -> Option<String> {
    let error = frame.get(12..HEADER)?;
    let mut reader = Reader::new(frame.get(HEADER..)?);
    if error != [0; 4] {
        return Some(format!("error {}", hex(error)));
    }
    if op == OpCode::GetData.number() {
        let data = reader.buffer().ok()?.map(hex);
        let mut stat = Stat::read(&mut reader).ok()?;
        if path == CONFIG_PATH {
            stat.mtime = 0;
        }
        Some(format!("data {data:?} {stat:?}"))
    } else if op == OpCode::GetChildren2.number() {
        let mut names = reader.text_vector().ok()??;
        names.sort();
        Some(format!("children {names:?}"))
    } else {
        // The access control list, and the Stat once more.
        let rest = reader.rest();
        Some(format!("acl {}", hex(rest.get(..rest.len().checked_sub(68)?)?)))
    }
}

/// The znodes in which two pictures differ, as a report; `None` when they are the same.
pub fn difference(one: &Picture, other: &Picture) -> Option<String> {
    let paths: std::collections::BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differing: Vec<_> = paths.into_iter().filter(|path| one.get(*path) != other.get(*path)).collect();
    if differing.is_empty() {
        return None;
    }
    let show = |picture: &Picture, path: &str| picture.get(path).map_or("nothing".to_owned(), |texts| texts.join("; "));
    let shown = differing
        .iter()
        .take(REPORTED)
        .map(|path| format!("{path}\n    one:   {}\n    other: {}", show(one, path), show(other, path)));
    Some(format!("{} of {} znodes differ\n{}", differing.len(), one.len(), shown.collect::<Vec<_>>().join("\n")))
}

impl Ensemble {
    /// Every one of these members has the same znodes and the same digests, and none has ever seen a digest that it did
    /// not expect. Nobody may write meanwhile. Returns the number of znodes.
    pub fn compare(&self, ids: &[u8]) -> Result<usize, String> {
        ids.iter().try_for_each(|id| self.expect_no_mismatch(*id))?;
        self.compare_trees(ids)
    }

    /// The same where writers were at work when members joined. A leader of Apache ZooKeeper sends a tree that changes
    /// while it is sent, without a digest (`ZKDatabase#serializeSnapshot`), and a learner of the same compares from the
    /// first transaction on: what it counts then is no fault, so only ours are asked.
    pub fn compare_after_load(&self, ids: &[u8]) -> Result<usize, String> {
        let ours = ids.iter().filter(|id| self.server(**id).kind() == Kind::Ours);
        ours.into_iter().try_for_each(|id| self.expect_no_mismatch(*id))?;
        self.compare_trees(ids)
    }

    fn compare_trees(&self, ids: &[u8]) -> Result<usize, String> {
        self.compare_digests(ids)?;
        let first = take(self.address(ids[0]))?;
        for id in &ids[1..] {
            if let Some(report) = difference(&first, &take(self.address(*id))?) {
                return Err(format!("members {} and {id} are not equal: {report}", ids[0]));
            }
        }
        Ok(first.len())
    }

    /// Writes up to a zxid at which members note the digest, and waits until all of these have the same one there.
    pub fn compare_digests(&self, ids: &[u8]) -> Result<(), String> {
        let mut control = ControlClient::connect(self.address(ids[0]))?;
        control.create(DIGEST_PATH)?;
        let zxid = loop {
            let (error, frame) = control.call(&set(DIGEST_PATH, Some(b"x"), -1))?;
            let zxid = frame.get(4..12).and_then(|zxid| zxid.try_into().ok()).map_or(0, i64::from_be_bytes);
            if error != 0 {
                return Err(format!("a write is answered with {error}"));
            }
            if zxid % DIGEST_INTERVAL == 0 {
                break zxid;
            }
        };
        control.close()?;
        let mut digests = Vec::new();
        for id in ids {
            digests.push((*id, self.digest(*id, zxid)?));
        }
        if digests.iter().any(|(_, digest)| *digest != digests[0].1) {
            return Err(format!("the digests at {zxid:#x} differ: {digests:?}"));
        }
        Ok(())
    }

    fn expect_no_mismatch(&self, id: u8) -> Result<(), String> {
        let count = self.wait_for(id, "how many digests differed", |server| {
            metric(&server.ask("mntr")?, "zk_digest_mismatches_count")
        })?;
        if count == 0 { Ok(()) } else { Err(self.server(id).broken(&format!("tells of {count} digests that differ"))) }
    }

    fn digest(&self, id: u8, zxid: i64) -> Result<String, String> {
        let key = format!("{zxid:x}: ");
        self.wait_for(id, &format!("the digest at {zxid:#x}"), |server| {
            server.ask("hash")?.lines().find_map(|line| line.strip_prefix(&key)).map(str::to_owned)
        })
    }

    /// Asks a member until it tells; a busy one may not answer at once.
    fn wait_for<T>(&self, id: u8, what: &str, ask: impl Fn(&Server) -> Option<T>) -> Result<T, String> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(told) = ask(self.server(id)) {
                return Ok(told);
            }
            if Instant::now() > end {
                return Err(self.server(id).broken(&format!("does not tell {what}")));
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A number in the reply to `mntr`.
pub fn metric(reply: &str, name: &str) -> Option<i64> {
    let value = |line: &str| line.split_once('\t').filter(|(key, _)| *key == name)?.1.parse::<f64>().ok();
    reply.lines().find_map(value).map(|value| value as i64)
}
