//! get, set, exists, children, mix, create-delete: steady load on a set of znodes.

use std::time::Duration;

use rookeeper_protocol::types::{ErrorCode, OpCode};

use crate::args::{LoadArgs, OnZnodes};
use crate::connection::Tag;
use crate::engine::{Engine, Limits, Work};
use crate::error::BenchError;
use crate::measure::measure;
use crate::reply::{Expect, Reply, Verdict};
use crate::report::Report;
use crate::sweep::Sweep;
use crate::template::{NUMBER_MAX, Template, Value};

/// Children of each znode that `children` reads.
const CHILDREN: u32 = 10;

/// Znodes that one connection of create-delete uses in turn; more than are ever under way.
const TURNS: u32 = 1000;

/// How long the last replies may take when a run is over.
const DRAIN: Duration = Duration::from_secs(60);

/// What to ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Get,
    Set,
    Exists,
    Children,
    /// This percentage of gets, the others sets.
    Mix(u32),
    CreateDelete,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Set => "set",
            Self::Exists => "exists",
            Self::Children => "children",
            Self::Mix(_) => "mix",
            Self::CreateDelete => "create-delete",
        }
    }
}

/// The load of one engine.
struct Load {
    kind: Kind,
    keys: u32,
    /// The two requests that a kind may have, with what they must bring.
    requests: [(Template, Expect); 2],
    random: Random,
    /// How many requests each connection has made (create-delete).
    turns: Vec<u32>,
    /// Number of the engine's first connection.
    first: u32,
}

impl Load {
    fn new(kind: Kind, args: &LoadArgs, root: &str, first: usize, connections: usize) -> Self {
        let value = Value::new(args.value_size as usize);
        let key = key_path(root);
        let turn = turn_path(root);
        let get = || (Template::read(OpCode::GetData, &key, &[], false), Expect::Data(value.clone()));
        let set = || (Template::set(&key, &[], value.bytes()), Expect::Stat(value.clone()));
        let exists = || (Template::read(OpCode::Exists, &key, &[], false), Expect::Stat(value.clone()));
        let children = || (Template::read(OpCode::GetChildren, &key, &[], false), Expect::Children(CHILDREN as i32));
        let create = || {
            let create = Template::create(&turn, &[], value.bytes());
            (create.clone(), Expect::Path(create))
        };
        let delete = || (Template::delete(&turn, &[]), Expect::Nothing);
        let requests = match kind {
            Kind::Get => [get(), get()],
            Kind::Set => [set(), set()],
            Kind::Exists => [exists(), exists()],
            Kind::Children => [children(), children()],
            Kind::Mix(_) => [get(), set()],
            Kind::CreateDelete => [create(), delete()],
        };
        let random = Random(0x9E37_79B9_7F4A_7C15 ^ (first as u64 + 1));
        Self { kind, keys: args.keys, requests, random, turns: vec![0; connections], first: first as u32 }
    }

    /// The znode that a connection of create-delete is at when it has made so many requests.
    fn turn_number(&self, connection: usize, turns: u32) -> u32 {
        (self.first + connection as u32) * TURNS + (turns / 2) % TURNS
    }
}

impl Work for Load {
    fn classes(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Mix(_) => &["get", "set"],
            Kind::CreateDelete => &["create", "delete"],
            _ => &["all"],
        }
    }

    #[inline]
    fn request(&mut self, connection: usize, xid: i32, out: &mut Vec<u8>) -> Option<Tag> {
        let tag = match self.kind {
            Kind::CreateDelete => {
                let turn = &mut self.turns[connection];
                let turns = *turn;
                *turn = turns.wrapping_add(1);
                Tag { kind: (turns % 2) as u8, number: self.turn_number(connection, turns) }
            }
            Kind::Mix(gets) => {
                let number = self.random.below(self.keys);
                Tag { kind: u8::from(self.random.below(100) >= gets), number }
            }
            _ => Tag { kind: 0, number: self.random.below(self.keys) },
        };
        self.requests[usize::from(tag.kind)].0.put(xid, tag.number, out);
        Some(tag)
    }

    #[inline]
    fn reply(&mut self, tag: Tag, reply: &Reply<'_>) -> Verdict {
        self.requests[usize::from(tag.kind)].1.judge(tag.number, reply)
    }
}

/// xorshift64*: the choice of znodes needs speed, not quality.
struct Random(u64);

impl Random {
    #[inline]
    fn below(&mut self, end: u32) -> u32 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 32;
        ((high * u64::from(end)) >> 32) as u32
    }
}

fn key_path(root: &str) -> String {
    format!("{root}/k########")
}

/// Named after the process, so that what a run that was broken off has left is not in the way.
fn turn_path(root: &str) -> String {
    format!("{root}/t{}-########", std::process::id())
}

/// Runs the load and prints the report.
pub(crate) fn run(kind: Kind, on: &OnZnodes, args: &LoadArgs) -> Result<(), BenchError> {
    let (connections, threads) = (args.connections as usize, args.threads as usize);
    if threads > connections {
        return Err(BenchError::Usage(format!("--threads {threads}: more than --connections {connections}")));
    }
    if kind == Kind::CreateDelete && args.connections >= NUMBER_MAX / TURNS {
        return Err(BenchError::Usage(format!("--connections {connections}: create-delete takes fewer than 100000")));
    }
    if kind == Kind::Children && args.keys >= NUMBER_MAX / CHILDREN {
        return Err(BenchError::Usage(format!("--keys {}: children takes fewer than 10000000", args.keys)));
    }
    let depth = args.depth.unwrap_or(if args.rate.is_some() { 1000 } else { 20 }) as usize;
    if kind == Kind::CreateDelete && depth > TURNS as usize {
        return Err(BenchError::Usage(format!("--depth {depth}: create-delete takes at most {TURNS}")));
    }
    let (common, root) = (on.common(), on.make_root()?);

    let mut engines = (0..threads)
        .map(|thread| common.opening(share(connections, threads, thread)).open_all())
        .collect::<Result<Vec<_>, _>>()?;
    if kind != Kind::CreateDelete {
        create_keys(&mut engines[0], kind, args, &root)?;
        on.catch_up()?;
    }
    let mut first = 0;
    let mut works: Vec<_> = engines
        .iter()
        .map(|engine| {
            let work = Load::new(kind, args, &root, first, engine.connections.len());
            first += engine.connections.len();
            work
        })
        .collect();

    let limits = |duration: Option<Duration>, ops: u64| Limits {
        depth,
        // Split over the threads, and rounded up so that every thread has something to do.
        ops: if ops == u64::MAX { ops } else { ops.div_ceil(threads as u64) },
        duration,
        interval_ns: args.rate.map(|rate| 1e9 * threads as f64 / f64::from(rate)),
        deadline: duration.unwrap_or(Duration::from_secs(24 * 3600)) + DRAIN,
    };
    let mut bad_before = None;
    if !args.warmup.is_zero() {
        let what = on.progress("warm-up");
        let warmup = measure(&mut engines, &mut works, limits(Some(args.warmup), u64::MAX), what, None)?;
        bad_before = Some(warmup.tally);
    }
    let measured_limits = match args.ops {
        Some(ops) => limits(None, ops),
        None => limits(Some(args.duration), u64::MAX),
    };
    let what = on.progress(kind.name());
    let mut measured = measure(&mut engines, &mut works, measured_limits, what, Some(&args.observed))?;
    if let Some(before) = bad_before {
        measured.tally.add_bad(&before);
    }
    let classes = works[0].classes();
    if !args.keep {
        if kind == Kind::CreateDelete {
            delete_leftovers(&mut engines, &works, &root)?;
        } else {
            delete_keys(&mut engines[0], kind, args, &root)?;
        }
    }
    engines.into_iter().try_for_each(Engine::close)?;

    let mut report = Report::new(kind.name(), &measured.tally, classes, measured.own_cpu, &on.allow_errors)
        .server(measured.server)
        .setting("connections", connections)
        .setting("depth", depth)
        .setting("value bytes", args.value_size)
        .setting("keys", args.keys);
    if let Some(rate) = args.rate {
        report = report.setting("rate", rate);
    }
    if let Kind::Mix(gets) = kind {
        report = report.setting("percent gets", gets);
    }
    report.publish(common, args.threads)
}

/// The part of `whole` that falls to one of so many threads.
fn share(whole: usize, threads: usize, thread: usize) -> usize {
    whole / threads + usize::from(thread < whole % threads)
}

/// Creates the znodes. Those of an earlier run that was broken off are set, so that every read can be checked.
fn create_keys(engine: &mut Engine, kind: Kind, args: &LoadArgs, root: &str) -> Result<(), BenchError> {
    let (key, value) = (key_path(root), Value::new(args.value_size as usize));
    let create = Sweep::create(Template::create(&key, &[], value.bytes()), args.keys);
    if create.tolerating(ErrorCode::NodeExists).prepare(engine, &format!("create {key}"))? > 0 {
        let set = Sweep::new(Template::set(&key, &[], value.bytes()), Expect::Stat(value), args.keys);
        set.prepare(engine, &format!("set {key}"))?;
    }
    if kind == Kind::Children {
        let child = format!("{key}/c########");
        let create = Sweep::create(Template::create(&child, &[CHILDREN, 1], &[]), args.keys * CHILDREN);
        create.tolerating(ErrorCode::NodeExists).prepare(engine, &format!("create {child}"))?;
    }
    Ok(())
}

fn delete_keys(engine: &mut Engine, kind: Kind, args: &LoadArgs, root: &str) -> Result<(), BenchError> {
    let key = key_path(root);
    if kind == Kind::Children {
        let child = format!("{key}/c########");
        let delete = Sweep::new(Template::delete(&child, &[CHILDREN, 1]), Expect::Nothing, args.keys * CHILDREN);
        delete.prepare(engine, &format!("delete {child}"))?;
    }
    Sweep::new(Template::delete(&key, &[]), Expect::Nothing, args.keys)
        .prepare(engine, &format!("delete {key}"))
        .map(drop)
}

/// Deletes the znodes of those connections whose last request was a create.
fn delete_leftovers(engines: &mut [Engine], works: &[Load], root: &str) -> Result<(), BenchError> {
    for (engine, work) in engines.iter_mut().zip(works) {
        let odd = work.turns.iter().enumerate().filter(|(_, turns)| *turns % 2 == 1);
        let numbers: Vec<_> = odd.map(|(at, turns)| work.turn_number(at, *turns)).collect();
        let (what, numbers) = (turn_path(root), numbers.into_iter());
        Sweep::over(Template::delete(&what, &[]), Expect::Nothing, numbers)
            .prepare(engine, &format!("delete {what}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_reach_every_key() {
        let (mut random, mut seen) = (Random(1), [false; 10]);
        (0..1000).for_each(|_| seen[random.below(10) as usize] = true);
        assert_eq!(seen, [true; 10]);
    }

    #[test]
    fn threads_share_all_connections() {
        let shares: Vec<_> = (0..3).map(|thread| share(50, 3, thread)).collect();
        assert_eq!(shares, [17, 17, 16]);
    }
}
