//! Writers, and followers that watch what they write.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rookeeper_protocol::types::ErrorCode;

use super::{ROOT, Shared, lock};
use crate::client::{Client, Failure};
use crate::control::ControlClient;
use crate::request::{children, delete, get, make, set};
use crate::server::{PATIENCE, POLL};

/// Znodes of a writer that are there at a time.
const KEPT: u64 = 20;

/// How long a follower waits for an event before it looks whether the load has ended.
const WAIT: Duration = Duration::from_millis(500);

/// Counts in one znode, and makes a child with each number; the oldest children go.
#[derive(Debug)]
pub struct Writer {
    path: String,
    /// The last number whose writes were all acknowledged.
    acknowledged: Mutex<u64>,
}

impl Writer {
    /// Makes the writer's znode.
    pub fn new(control: &mut ControlClient, number: usize) -> Result<Self, String> {
        let path = format!("{ROOT}/writer{number}");
        let (error, _) = control.call(&make(&path, "0"))?;
        if error != 0 {
            return Err(format!("{path} cannot be created: {error}"));
        }
        Ok(Self { path, acknowledged: Mutex::new(0) })
    }

    /// Writes until the load ends.
    pub fn run(&self, mut client: Client, shared: &Shared) {
        shared.repeat(|| {
            let number = *lock(&self.acknowledged) + 1;
            let text = number.to_string();
            // Each may have been carried out although its reply was lost: done twice, it is the same.
            let mut write = |request, fine: ErrorCode| {
                let reply = client.insist(&request)?;
                let known = [0, fine.number()].contains(&reply.error);
                if known { Ok(()) } else { Err(format!("{} is answered with {}", request.label, reply.error)) }
            };
            write(make(format!("{}/k{number}", self.path), &text), ErrorCode::NodeExists)?;
            write(set(&self.path, Some(text.as_bytes()), -1), ErrorCode::Ok)?;
            if number > KEPT {
                write(delete(format!("{}/k{}", self.path, number - KEPT), -1), ErrorCode::NoNode)?;
            }
            *lock(&self.acknowledged) = number;
            Ok(())
        });
    }

    /// The number and the children are those acknowledged.
    pub fn check(&self, control: &mut ControlClient) -> Result<(), String> {
        let number = *lock(&self.acknowledged);
        let (error, frame) = control.call(&get(&self.path, false))?;
        let text = format!("{number}");
        let data = rookeeper_protocol::jute::Reader::new(frame.get(16..).unwrap_or_default()).buffer().ok().flatten();
        if error != 0 || data != Some(text.as_bytes()) {
            return Err(format!("{} has {data:?} (error {error}) after {number} was acknowledged", self.path));
        }
        let (_, frame) = control.call(&children(&self.path, false))?;
        let names = rookeeper_protocol::jute::Reader::new(frame.get(16..).unwrap_or_default()).text_vector();
        let names = names.map_err(|error| error.to_string())?.unwrap_or_default();
        let mut names: Vec<_> = names.into_iter().flatten().map(String::from).collect();
        names.sort();
        let first = number.saturating_sub(KEPT) + 1;
        let mut expected: Vec<_> = (first..=number).map(|number| format!("k{number}")).collect();
        expected.sort();
        if names == expected {
            Ok(())
        } else {
            Err(format!("{} has the children {names:?}, not {expected:?}", self.path))
        }
    }
}

/// What a follower has seen.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Seen {
    number: u64,
    newest_child: u64,
}

/// Reads what a writer writes, only when a watch says that there is something new.
#[derive(Debug)]
pub struct Follower {
    writer: Arc<Writer>,
    seen: Mutex<Seen>,
}

impl Follower {
    /// Will follow this writer.
    pub fn new(writer: Arc<Writer>) -> Self {
        Self { writer, seen: Mutex::default() }
    }

    /// Follows until the load ends.
    pub fn run(&self, mut client: Client, shared: &Shared) {
        let result = (|| {
            self.read_number(&mut client)?;
            self.read_children(&mut client)?;
            while shared.goes_on() {
                match client.event(WAIT) {
                    Ok(Some(event)) if event.kind == CHILDREN_CHANGED => self.read_children(&mut client)?,
                    Ok(Some(_)) => self.read_number(&mut client)?,
                    Ok(None) | Err(Failure::Lost | Failure::NotSent) => {}
                    Err(Failure::Expired) => return Err(format!("the session {:#x} expired", client.session())),
                }
            }
            Ok(())
        })();
        if let Err(failure) = result {
            lock(&shared.failures).push(format!("the follower of {}: {failure}", self.writer.path));
        }
    }

    fn read_number(&self, client: &mut Client) -> Result<(), String> {
        let reply = again(|| client.watch_data(&self.writer.path))?;
        let (data, _) = reply.data()?;
        let number = String::from_utf8_lossy(&data).parse().map_err(|_| format!("no number: {data:?}"))?;
        let seen = &mut lock(&self.seen).number;
        // A client sees the tree of a time and then that of a later one, whichever servers it moves between.
        if number < *seen {
            return Err(format!("{number} is read after {seen}"));
        }
        *seen = number;
        Ok(())
    }

    fn read_children(&self, client: &mut Client) -> Result<(), String> {
        let names = again(|| client.watch_children(&self.writer.path))?.names()?;
        let newest = names.iter().filter_map(|name| name.strip_prefix('k')?.parse().ok()).max().unwrap_or(0);
        lock(&self.seen).newest_child = newest;
        Ok(())
    }

    /// Comes to know what the writer has been acknowledged last. Events may still be on their way.
    pub fn check(&self) -> Result<(), String> {
        let number = *lock(&self.writer.acknowledged);
        let expected = Seen { number, newest_child: number };
        let end = Instant::now() + PATIENCE;
        while *lock(&self.seen) != expected {
            if Instant::now() > end {
                let seen = lock(&self.seen).clone();
                return Err(format!("a watch of {} was missed: {seen:?} at {number}", self.writer.path));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }
}

/// NodeChildrenChanged.
const CHILDREN_CHANGED: i32 = 4;

/// Reads again until there is a reply.
fn again<T>(mut read: impl FnMut() -> Result<T, Failure>) -> Result<T, String> {
    let end = Instant::now() + PATIENCE;
    loop {
        match read() {
            Ok(reply) => return Ok(reply),
            Err(Failure::Expired) => return Err("the session expired".to_owned()),
            Err(failure) if Instant::now() > end => return Err(format!("{failure:?} for {PATIENCE:?}")),
            Err(_) => {}
        }
    }
}
