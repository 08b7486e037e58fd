//! Histories of what clients asked and were answered, and whether they are linearizable.
//!
//! The judge is stateright's `LinearizabilityTester`: it is kept up, takes any object by its sequential specification,
//! and knows operations that never returned, which every fault leaves behind. Since it tries orders without remembering
//! what it has tried, each znode has a history of its own (linearizability is local), which ends after a few dozen
//! operations; then a new znode takes its place.
//!
//! Reads of ZooKeeper may be stale. A read that is recorded is one behind an own write: the session's order puts it behind
//! a majority's agreement. Apache ZooKeeper's `sync` only asks the leader, who may have been replaced; ours asks a quorum,
//! too, so that where all members are ours some reads are behind a `sync`, and some clients do nothing else: they stay with a
//! member that cannot write.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rookeeper_protocol::types::ErrorCode;
use stateright::semantics::{ConsistencyTester, LinearizabilityTester, SequentialSpec};

use crate::client::{Client, Failure, Reply};
use crate::ensemble::Ensemble;
use crate::request::{get, make, set, sync};
use crate::rng::Rng;
use crate::server::{Kind, PATIENCE, POLL};

/// Clients that ask at the same time.
const CLIENTS: usize = 6;

/// Clients that only read behind `sync`, where that is enough.
const READERS: usize = 3;

/// The pause of such a client between two reads. Each read is judged: without a pause that takes longer than all else.
const READERS_PACE: Duration = Duration::from_millis(40);

/// Znodes that they share at a time.
const ZNODES: usize = 3;

/// Operations after which there are new znodes: few enough for the judge.
const OPERATIONS: u64 = 100;

/// Sessions must outlive the faults, so that a client goes on.
const SESSION_TIMEOUT_MS: i32 = 40_000;

/// How long judging one znode may take. It takes milliseconds where there is an order; where there is none, all are tried.
const JUDGEMENT: Duration = Duration::from_secs(60);

/// The judge is recursive, once for each operation.
const JUDGE_STACK_BYTES: usize = 256 << 20;

/// What a client asks of a znode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Its value.
    Read,
    /// Have this value.
    Write(u64),
    /// Have the second value if it has the first: a set with the version that was read with the first.
    Swap(u64, u64),
}

/// What it is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// The value.
    Value(u64),
    /// Written.
    Written,
    /// Whether it was swapped.
    Swapped(bool),
}

/// The specification: a znode with a number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Znode(u64);

impl SequentialSpec for Znode {
    type Op = Operation;
    type Ret = Answer;

    fn invoke(&mut self, operation: &Operation) -> Answer {
        match *operation {
            Operation::Read => Answer::Value(self.0),
            Operation::Write(value) => {
                self.0 = value;
                Answer::Written
            }
            Operation::Swap(from, to) => {
                let fits = self.0 == from;
                if fits {
                    self.0 = to;
                }
                Answer::Swapped(fits)
            }
        }
    }
}

/// One line of a history: a process asks, or is told.
#[derive(Debug, Clone, Copy)]
enum Line {
    Asks(usize, Operation),
    IsTold(usize, Answer),
}

/// All lines about one znode, in their order in time.
type History = Vec<Line>;

#[derive(Debug, Default)]
struct Shared {
    stop: AtomicBool,
    /// A process asks one thing at a time: who was not answered goes on as another.
    processes: AtomicUsize,
    values: AtomicU64,
    operations: AtomicU64,
    answered: AtomicU64,
    histories: Mutex<BTreeMap<String, History>>,
    failures: Mutex<Vec<String>>,
}

impl Shared {
    fn note(&self, path: &str, line: Line) {
        let mut histories = self.histories.lock().unwrap_or_else(PoisonError::into_inner);
        histories.entry(path.to_owned()).or_default().push(line);
    }
}

/// Clients at work, and the record of it.
#[derive(Debug)]
pub struct Recording {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

impl Recording {
    /// Starts the clients, spread over the members. What they ask is drawn from the seed.
    pub fn start(ensemble: &Ensemble, seed: u64) -> Result<Self, String> {
        let servers: Vec<SocketAddr> = ensemble.addresses();
        let syncs = ensemble.ids().into_iter().all(|id| ensemble.server(id).kind() == Kind::Ours);
        let shared = Arc::new(Shared::default());
        let mut threads = Vec::new();
        let readers = if syncs { READERS } else { 0 };
        for number in 0..CLIENTS + readers {
            let mut servers = servers.clone();
            let first = number % servers.len();
            servers.rotate_left(first);
            let client = Client::open(&servers, SESSION_TIMEOUT_MS)?;
            let (shared, rng) = (Arc::clone(&shared), Rng::new(seed.wrapping_add(number as u64)));
            threads.push(std::thread::spawn(move || {
                let mut asker = Asker { client, rng, shared: &shared, number, syncs, only_reads: number >= CLIENTS };
                if let Err(failure) = asker.run() {
                    shared.failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                }
            }));
        }
        Ok(Self { shared, threads })
    }

    /// Waits until so many more operations were answered.
    pub fn progress(&self, operations: u64) -> Result<(), String> {
        let wanted = self.shared.answered.load(Ordering::Relaxed) + operations;
        let end = Instant::now() + PATIENCE;
        while self.shared.answered.load(Ordering::Relaxed) < wanted {
            self.failures()?;
            if Instant::now() > end {
                return Err(format!("clients get no answers: {operations} were waited for"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    fn failures(&self) -> Result<(), String> {
        let failures = self.shared.failures.lock().unwrap_or_else(PoisonError::into_inner);
        if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
    }

    fn stop(&mut self) -> Result<(), String> {
        self.shared.stop.store(true, Ordering::Relaxed);
        let panicked = self.threads.drain(..).filter_map(|thread| thread.join().err()).count();
        if panicked == 0 { self.failures() } else { Err(format!("{panicked} clients panicked")) }
    }

    /// Ends the clients and judges; returns how many operations were answered.
    pub fn end(mut self) -> Result<u64, String> {
        self.stop()?;
        let histories = std::mem::take(&mut *self.shared.histories.lock().unwrap_or_else(PoisonError::into_inner));
        for (path, history) in histories {
            judge(history).map_err(|error| format!("{path}: {error}"))?;
        }
        Ok(self.shared.answered.load(Ordering::Relaxed))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        // Whoever drops it without its judgement has failed already.
        let _ = self.stop();
    }
}

/// One client.
struct Asker<'s> {
    client: Client,
    rng: Rng,
    shared: &'s Shared,
    number: usize,
    syncs: bool,
    only_reads: bool,
}

impl Asker<'_> {
    fn run(&mut self) -> Result<(), String> {
        let own = format!("/own{}", self.number);
        self.there(&own)?;
        let (mut process, mut known) = (self.shared.processes.fetch_add(1, Ordering::Relaxed), BTreeSet::new());
        while !self.shared.stop.load(Ordering::Relaxed) {
            let count = self.shared.operations.fetch_add(1, Ordering::Relaxed);
            let path = format!("/h{}-{}", count / OPERATIONS, self.rng.below(ZNODES));
            // A znode that was not seen yet tells a reader nothing, and counts as a read without an answer.
            if known.insert(path.clone()) && !self.only_reads {
                self.there(&path)?;
            }
            if self.only_reads {
                std::thread::sleep(READERS_PACE);
            }
            let outcome = match if self.only_reads { 0 } else { self.rng.below(4) } {
                0 | 1 => self.read(process, &own, &path).map(drop),
                2 => {
                    let value = self.value();
                    self.ask(process, &path, Operation::Write(value), |asker| {
                        asker.write(&path, value, -1).map(|_| Answer::Written)
                    })
                    .map(drop)
                }
                _ => self.read(process, &own, &path).and_then(|(from, version)| {
                    let to = self.value();
                    let swap = |asker: &mut Self| asker.write(&path, to, version).map(Answer::Swapped);
                    self.ask(process, &path, Operation::Swap(from, to), swap).map(drop)
                }),
            };
            match outcome {
                // Who waits for answers waits for writes, too.
                Ok(()) if self.only_reads => {}
                Ok(()) => {
                    self.shared.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(Failure::Expired) => return Err(format!("session {:#x} is over", self.client.session())),
                Err(_) => process = self.shared.processes.fetch_add(1, Ordering::Relaxed),
            }
        }
        Ok(())
    }

    /// Sees to it that a znode is there, with the value 0 at first.
    fn there(&mut self, path: &str) -> Result<(), String> {
        let error = self.client.insist(&make(path, "0"))?.error;
        let fine = [0, ErrorCode::NodeExists.number()].contains(&error);
        if fine { Ok(()) } else { Err(format!("{path} cannot be created: {error}")) }
    }

    /// A value that nobody writes twice.
    fn value(&self) -> u64 {
        self.shared.values.fetch_add(1, Ordering::Relaxed) + 1
    }

    fn ask(
        &mut self,
        process: usize,
        path: &str,
        operation: Operation,
        ask: impl FnOnce(&mut Self) -> Result<Answer, Failure>,
    ) -> Result<Answer, Failure> {
        self.shared.note(path, Line::Asks(process, operation));
        let answer = ask(self)?;
        self.shared.note(path, Line::IsTold(process, answer));
        Ok(answer)
    }

    /// Writes a znode of its own or, where that is enough, syncs, and reads behind that. Returns the value and its version.
    fn read(&mut self, process: usize, own: &str, path: &str) -> Result<(u64, i32), Failure> {
        let mut version = 0;
        let before =
            if self.only_reads || (self.syncs && self.rng.one_in(2)) { sync(path) } else { set(own, Some(b"x"), -1) };
        let answer = self.ask(process, path, Operation::Read, |asker| {
            answered(asker.client.call(&before)?)?;
            let reply = answered(asker.client.call(&get(path, false))?)?;
            let (data, stat) = reply.data().map_err(|_| Failure::Lost)?;
            version = stat.version;
            String::from_utf8_lossy(&data).parse().map(Answer::Value).map_err(|_| Failure::Lost)
        })?;
        match answer {
            Answer::Value(value) => Ok((value, version)),
            Answer::Written | Answer::Swapped(_) => Err(Failure::Lost),
        }
    }

    /// Sets the value; false when the version did not fit.
    fn write(&mut self, path: &str, value: u64, version: i32) -> Result<bool, Failure> {
        let reply = self.client.call(&set(path, Some(value.to_string().as_bytes()), version))?;
        if reply.error == ErrorCode::BadVersion.number() {
            return Ok(false);
        }
        answered(reply).map(|_| true)
    }
}

/// An error that says nothing about the znode leaves open what was done, as a lost connection does.
fn answered(reply: Reply) -> Result<Reply, Failure> {
    if reply.error == 0 { Ok(reply) } else { Err(Failure::Lost) }
}

/// Whether one znode's history is linearizable; the error shows the history.
fn judge(history: History) -> Result<(), String> {
    let (tell, hear) = channel();
    let judged = history.clone();
    let judge = std::thread::Builder::new().stack_size(JUDGE_STACK_BYTES).spawn(move || {
        // Nobody listens any more when it took too long.
        let _ = tell.send(tester(&judged).map(|tester| tester.is_consistent()));
    });
    judge.map_err(|error| error.to_string())?;
    let what = match hear.recv_timeout(JUDGEMENT) {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => "not linearizable".to_owned(),
        Ok(Err(error)) => format!("no history: {error}"),
        Err(RecvTimeoutError::Timeout) => format!("no order found in {JUDGEMENT:?}"),
        Err(RecvTimeoutError::Disconnected) => "the judge panicked".to_owned(),
    };
    let lines: Vec<_> = history.iter().map(|line| format!("{line:?}")).collect();
    Err(format!("{what}:\n{}", lines.join("\n")))
}

fn tester(history: &History) -> Result<LinearizabilityTester<usize, Znode>, String> {
    /// The judge tries processes in the order of their numbers. What may never have been done comes last: tried first,
    /// in every order, it would keep the judge busy before each read.
    const UNANSWERED: usize = usize::MAX / 2;
    let mut tester = LinearizabilityTester::new(Znode::default());
    for (index, line) in history.iter().enumerate() {
        match *line {
            Line::Asks(process, operation) if is_told(&history[index..], process) => {
                tester.on_invoke(process, operation)?;
            }
            // Has done and shown nothing.
            Line::Asks(_, Operation::Read) => {}
            Line::Asks(process, operation) => {
                tester.on_invoke(UNANSWERED + process, operation)?;
            }
            Line::IsTold(process, answer) => {
                tester.on_return(process, answer)?;
            }
        }
    }
    Ok(tester)
}

/// Whether a process is told something in these lines.
fn is_told(lines: &[Line], process: usize) -> bool {
    lines.iter().any(|line| matches!(line, Line::IsTold(told, _) if *told == process))
}

#[cfg(test)]
mod tests {
    use super::*;
    use Line::{Asks, IsTold};
    use Operation::{Read, Swap, Write};

    #[test]
    fn a_lost_write_is_found() {
        let lost = vec![Asks(0, Write(1)), IsTold(0, Answer::Written), Asks(1, Read), IsTold(1, Answer::Value(0))];
        assert!(judge(lost).unwrap_err().starts_with("not linearizable"));
    }

    #[test]
    fn what_was_not_answered_may_have_been_done_at_any_time() {
        for seen in [0, 1] {
            let history = vec![Asks(0, Write(1)), Asks(1, Read), IsTold(1, Answer::Value(seen))];
            assert_eq!(judge(history), Ok(()));
        }
        let back_again = vec![
            Asks(0, Write(1)),
            Asks(1, Read),
            IsTold(1, Answer::Value(1)),
            Asks(1, Read),
            IsTold(1, Answer::Value(0)),
        ];
        assert!(judge(back_again).is_err());
    }

    #[test]
    fn of_two_swaps_one_succeeds() {
        let history = |second| {
            vec![
                Asks(0, Swap(0, 1)),
                Asks(1, Swap(0, 2)),
                IsTold(0, Answer::Swapped(true)),
                IsTold(1, Answer::Swapped(second)),
            ]
        };
        assert_eq!(judge(history(false)), Ok(()));
        assert!(judge(history(true)).is_err());
    }
}
