//! Sessions that hold something: ephemeral znodes, and a lock.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{ErrorCode, Stat};

use super::{ROOT, Shared, lock};
use crate::body::Acls;
use crate::client::{Client, Failure};
use crate::control::ControlClient;
use crate::request::{children, create, delete, exists, get, make, make_as, set};
use crate::server::PATIENCE;

/// Flags of an ephemeral znode.
const EPHEMERAL: i32 = 1;

/// Flags of an ephemeral sequential znode.
const EPHEMERAL_SEQUENTIAL: i32 = 3;

/// Ephemeral znodes of a session.
const ZNODES: u64 = 5;

/// Digits that a server puts behind the name of a sequential znode.
const SEQUENCE_DIGITS: usize = 10;

/// A session's ephemeral znodes, which it deletes and makes again, one after the other.
#[derive(Debug)]
pub struct Ephemerals {
    path: String,
    session: i64,
    rounds: Mutex<u64>,
}

impl Ephemerals {
    /// Makes their parent.
    pub fn new(control: &mut ControlClient, number: usize, session: i64) -> Result<Self, String> {
        let path = format!("{ROOT}/ephemerals{number}");
        control.create(&path)?;
        Ok(Self { path, session, rounds: Mutex::new(0) })
    }

    fn znode(&self, number: u64) -> String {
        format!("{}/e{number}", self.path)
    }

    /// Deletes and makes znodes until the load ends.
    pub fn run(&self, mut client: Client, shared: &Shared) {
        shared.repeat(|| {
            let round = *lock(&self.rounds);
            let path = self.znode(round % ZNODES);
            let removed = client.insist(&delete(&path, -1))?.error;
            // After the first round it is there, unless a deletion whose reply was lost has been carried out.
            if ![0, ErrorCode::NoNode.number()].contains(&removed) {
                return Err(format!("{path}: its deletion is answered with {removed}"));
            }
            let made = client.insist(&make_as(&path, EPHEMERAL))?.error;
            if ![0, ErrorCode::NodeExists.number()].contains(&made) {
                return Err(format!("{path}: its creation is answered with {made}"));
            }
            *lock(&self.rounds) = round + 1;
            Ok(())
        });
    }

    /// All are there, and the session's.
    pub fn check(&self, control: &mut ControlClient) -> Result<(), String> {
        for number in 0..ZNODES.min(*lock(&self.rounds)) {
            let path = self.znode(number);
            let (error, frame) = control.call(&exists(&path, false))?;
            if error != 0 {
                return Err(format!("{path} is gone (error {error}), and its session {:#x} is not", self.session));
            }
            let stat = Stat::read(&mut Reader::new(frame.get(16..).unwrap_or_default()));
            let owner = stat.map_err(|error| error.to_string())?.ephemeral_owner;
            if owner != self.session {
                return Err(format!("{path} belongs to session {owner:#x}, not {:#x}", self.session));
            }
        }
        Ok(())
    }
}

/// A lock by the recipe with sequential ephemeral znodes. Each holder counts in a znode that the lock protects.
#[derive(Debug)]
pub struct Lock {
    path: String,
    counter: String,
    held: AtomicBool,
    taken: AtomicU64,
    attempts: AtomicU64,
}

impl Lock {
    /// Makes the lock and the counter.
    pub fn new(control: &mut ControlClient) -> Result<Self, String> {
        let (path, counter) = (format!("{ROOT}/lock"), format!("{ROOT}/counter"));
        control.create(&path)?;
        control.call(&make(&counter, "0"))?;
        let (taken, attempts) = (AtomicU64::new(0), AtomicU64::new(0));
        Ok(Self { path, counter, held: AtomicBool::new(false), taken, attempts })
    }

    /// Takes and releases the lock until the load ends.
    pub fn run(&self, mut client: Client, shared: &Shared) {
        shared.repeat(|| {
            let own = self.queue(&mut client)?;
            self.wait(&mut client, &own)?;
            if self.held.swap(true, Ordering::SeqCst) {
                return Err(format!("session {:#x} got the lock while another has it", client.session()));
            }
            let counted = self.count(&mut client);
            self.held.store(false, Ordering::SeqCst);
            counted?;
            client.insist(&delete(format!("{}/{own}", self.path), -1)).map(drop)
        });
    }

    /// Makes the znode that waits for the lock; returns its name. Of a creation whose reply was lost it is found by its
    /// prefix.
    fn queue(&self, client: &mut Client) -> Result<String, String> {
        let prefix = format!("a{}-", self.attempts.fetch_add(1, Ordering::SeqCst));
        let request = create(format!("{}/{prefix}", self.path), Some(b""), &Acls::open(), EPHEMERAL_SEQUENTIAL);
        loop {
            match client.call(&request) {
                Ok(reply) if reply.error == 0 => {
                    let path = reply.path()?;
                    return Ok(path.rsplit('/').next().unwrap_or_default().to_owned());
                }
                Ok(reply) if reply.error != ErrorCode::ConnectionLoss.number() => {
                    return Err(format!("{} is answered with {}", request.label, reply.error));
                }
                Err(Failure::Expired) => return Err(format!("session {:#x} is over", client.session())),
                Ok(_) | Err(Failure::NotSent) => {}
                Err(Failure::Lost) => {
                    client.insist(&crate::request::sync(&self.path))?;
                    let names = client.insist(&children(&self.path, false))?.names()?;
                    if let Some(name) = names.into_iter().find(|name| name.starts_with(&prefix)) {
                        return Ok(name);
                    }
                }
            }
        }
    }

    /// Waits until no znode has a lower number.
    fn wait(&self, client: &mut Client, own: &str) -> Result<(), String> {
        let sequence = |name: &str| name.get(name.len().saturating_sub(SEQUENCE_DIGITS)..).map(str::to_owned);
        let end = Instant::now() + PATIENCE;
        loop {
            let names = client.insist(&children(&self.path, false))?.names()?;
            if !names.iter().any(|name| name == own) {
                return Err(format!("{own} of session {:#x} is gone from {}", client.session(), self.path));
            }
            let before = names.iter().filter(|name| sequence(name) < sequence(own));
            let Some(before) = before.max_by_key(|name| sequence(name)) else { return Ok(()) };
            if Instant::now() > end {
                return Err(format!("{own} waits for {before} of {names:?} for {PATIENCE:?}"));
            }
            let before = format!("{}/{before}", self.path);
            match client.watch_exists(&before) {
                Ok(true) => self.wait_for_event(client, &before, end)?,
                Ok(false) | Err(Failure::Lost | Failure::NotSent) => {}
                Err(Failure::Expired) => return Err(format!("session {:#x} is over", client.session())),
            }
        }
    }

    /// Only a watch wakes it: one that is missed shows as a wait without end.
    fn wait_for_event(&self, client: &mut Client, path: &str, end: Instant) -> Result<(), String> {
        const TURN: Duration = Duration::from_millis(500);
        loop {
            match client.event(TURN) {
                Ok(Some(event)) if event.path == path => return Ok(()),
                Err(Failure::Expired) => return Err(format!("session {:#x} is over", client.session())),
                _ if Instant::now() > end => return Err(format!("a watch of {path} was missed")),
                _ => {}
            }
        }
    }

    /// Adds one to the counter, in two steps that only the lock keeps together.
    fn count(&self, client: &mut Client) -> Result<(), String> {
        client.insist(&crate::request::sync(&self.counter))?;
        let (data, stat) = client.insist(&get(&self.counter, false))?.data()?;
        let number: u64 = String::from_utf8_lossy(&data).parse().map_err(|_| format!("no number: {data:?}"))?;
        if number != self.taken.load(Ordering::SeqCst) {
            return Err(format!("the counter is {number} after {:?}", self.taken));
        }
        let text = (number + 1).to_string();
        let error = client.insist(&set(&self.counter, Some(text.as_bytes()), stat.version))?.error;
        // BadVersion: carried out, and the reply was lost. That it was, the next holder sees.
        if ![0, ErrorCode::BadVersion.number()].contains(&error) {
            return Err(format!("the counter cannot be set: {error}"));
        }
        self.taken.store(number + 1, Ordering::SeqCst);
        Ok(())
    }

    /// The counter is as often counted as the lock was taken.
    pub fn check(&self, control: &mut ControlClient) -> Result<(), String> {
        let (_, frame) = control.call(&get(&self.counter, false))?;
        let data = Reader::new(frame.get(16..).unwrap_or_default()).buffer().ok().flatten().unwrap_or_default();
        let number: Option<u64> = String::from_utf8_lossy(data).parse().ok();
        let taken = self.taken.load(Ordering::SeqCst);
        if number == Some(taken) { Ok(()) } else { Err(format!("the counter is {number:?} after {taken} holders")) }
    }
}
