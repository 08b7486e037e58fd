//! Constant load on an ensemble, by workers that know at any time what must be there: whatever happens to the servers,
//! no acknowledged write is lost, no session expires, no watch is missed, and a lock has one holder.
//!
//! - [`writers`]: counters, and znodes that come and go; watchers that follow them
//! - [`holders`]: ephemeral znodes, and a lock that sessions take in turn

pub mod holders;
pub mod writers;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::control::ControlClient;
use crate::server::{PATIENCE, POLL};
use holders::{Ephemerals, Lock};
use writers::{Follower, Writer};

/// Where everything of the load is.
const ROOT: &str = "/load";

/// Writers, each with a follower that watches it.
const WRITERS: usize = 3;

/// Sessions with ephemeral znodes.
const EPHEMERALS: usize = 2;

/// Sessions that take the lock in turn.
const CONTENDERS: usize = 3;

/// Longer than any change of the leader or start of a server takes here.
const SESSION_TIMEOUT_MS: i32 = 40_000;

/// The pause of a worker between two steps, so that ten of them leave the processors to the servers.
const PACE: Duration = Duration::from_millis(4);

/// What the workers of one load share.
#[derive(Debug, Default)]
pub struct Shared {
    stop: AtomicBool,
    /// Read by a worker for a step, written by whoever wants to find everything at rest.
    gate: RwLock<()>,
    steps: AtomicU64,
    failures: Mutex<Vec<String>>,
}

impl Shared {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn stepped(&self) {
        self.steps.fetch_add(1, Ordering::Relaxed);
    }

    /// Runs steps until the load ends, or one fails.
    fn repeat(&self, mut step: impl FnMut() -> Result<(), String>) {
        while self.goes_on() {
            let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            if let Err(failure) = step() {
                lock(&self.failures).push(failure);
                return;
            }
            drop(gate);
            self.stepped();
            std::thread::sleep(PACE);
        }
    }
}

/// A load that runs. What it has found wrong is told by [`Load::check`] and [`Load::end`].
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    writers: Vec<Arc<Writer>>,
    followers: Vec<Arc<Follower>>,
    ephemerals: Vec<Arc<Ephemerals>>,
    lock: Arc<Lock>,
    threads: Vec<JoinHandle<()>>,
}

impl Load {
    /// Starts all workers, spread over these servers.
    pub fn start(servers: &[SocketAddr]) -> Result<Self, String> {
        let mut control = ControlClient::connect(servers[0])?;
        control.create(ROOT)?;
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        let mut open = 0;
        let mut client = || {
            // Each begins with another server.
            let mut servers = servers.to_vec();
            let first = open % servers.len();
            servers.rotate_left(first);
            open += 1;
            Client::open(&servers, SESSION_TIMEOUT_MS)
        };
        let mut writers = Vec::new();
        let mut followers = Vec::new();
        for number in 0..WRITERS {
            let writer = Arc::new(Writer::new(&mut control, number)?);
            let follower = Arc::new(Follower::new(Arc::clone(&writer)));
            threads.push(spawn(&shared, &writer, client()?, Writer::run));
            threads.push(spawn(&shared, &follower, client()?, Follower::run));
            writers.push(writer);
            followers.push(follower);
        }
        let mut ephemerals = Vec::new();
        for number in 0..EPHEMERALS {
            let client = client()?;
            let holder = Arc::new(Ephemerals::new(&mut control, number, client.session())?);
            threads.push(spawn(&shared, &holder, client, Ephemerals::run));
            ephemerals.push(holder);
        }
        let lock = Arc::new(Lock::new(&mut control)?);
        for _ in 0..CONTENDERS {
            threads.push(spawn(&shared, &lock, client()?, Lock::run));
        }
        control.close()?;
        Ok(Self { shared, writers, followers, ephemerals, lock, threads })
    }

    /// How many steps the workers have done.
    pub fn steps(&self) -> u64 {
        self.shared.steps.load(Ordering::Relaxed)
    }

    /// Waits until the workers have done so many more steps.
    pub fn progress(&self, steps: u64) -> Result<(), String> {
        let (end, wanted) = (Instant::now() + PATIENCE, self.steps() + steps);
        while self.steps() < wanted {
            self.failures()?;
            if Instant::now() > end {
                return Err(format!("the load has only come to {} of {wanted} steps", self.steps()));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits for the steps under way; while the guard lives, no other begins. Followers go on: they only read.
    pub fn at_rest(&self) -> RwLockWriteGuard<'_, ()> {
        self.shared.gate.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that was acknowledged is there, nothing else is, every watcher knows the newest state. The load has to
    /// be at rest.
    pub fn check(&self, server: SocketAddr) -> Result<(), String> {
        self.failures()?;
        let mut control = ControlClient::connect(server)?;
        control.call(&crate::request::sync(ROOT))?;
        self.writers.iter().try_for_each(|writer| writer.check(&mut control))?;
        self.ephemerals.iter().try_for_each(|holder| holder.check(&mut control))?;
        self.lock.check(&mut control)?;
        self.followers.iter().try_for_each(|follower| follower.check())?;
        control.close()
    }

    /// Ends all workers; an error tells what went wrong for them.
    pub fn end(mut self) -> Result<(), String> {
        self.stop();
        self.failures()
    }

    fn stop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                lock(&self.shared.failures).push("a worker panicked".to_owned());
            }
        }
    }

    fn failures(&self) -> Result<(), String> {
        let failures = lock(&self.shared.failures);
        if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn<T: Send + Sync + 'static>(
    shared: &Arc<Shared>,
    worker: &Arc<T>,
    client: Client,
    run: fn(&T, Client, &Shared),
) -> JoinHandle<()> {
    let (shared, worker) = (Arc::clone(shared), Arc::clone(worker));
    std::thread::spawn(move || run(&worker, client, &shared))
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
