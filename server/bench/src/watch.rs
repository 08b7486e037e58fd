//! watch: many watches, and the time from a change to the last event.

use std::time::Duration;

use clap::{Args, ValueEnum, value_parser};
use rookeeper_protocol::client::{EventType, WatchEvent};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::{ErrorCode, OpCode};

use crate::args::{CONNECTIONS_MAX, Observed, OnZnodes, duration};
use crate::connection::Tag;
use crate::engine::{Engine, Limits, Work};
use crate::error::BenchError;
use crate::measure::measure;
use crate::progress::Progress;
use crate::reply::{Expect, Reply, Verdict};
use crate::report::Report;
use crate::sweep::Sweep;
use crate::tally::Latencies;
use crate::template::{Template, Value};

/// Requests under way per connection while watches are registered.
const DEPTH: usize = 100;

/// How many watches, on what.
#[derive(Debug, Clone, Args)]
pub(crate) struct WatchArgs {
    /// Watching connections.
    #[arg(short = 'w', long, default_value_t = 500, value_parser = value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    watchers: u32,
    /// Znodes that each of them watches.
    #[arg(short, long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=10_000_000))]
    paths: u32,
    /// How often all watches are registered (one-shot ones) and fired; 0 registers once and fires nothing.
    #[arg(short = 'n', long, default_value_t = 20, value_parser = value_parser!(u32).range(0..=1_000_000))]
    rounds: u32,
    /// Kind of watch.
    #[arg(long, value_enum, default_value_t = WatchKind::Data)]
    kind: WatchKind,
    /// Bytes of data per znode.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=1_000_000), value_name = "BYTES")]
    value_size: u32,
    /// A round that takes longer than this fails.
    #[arg(long, default_value = "120s", value_parser = duration, value_name = "TIME")]
    round_timeout: Duration,
    #[command(flatten)]
    observed: Observed,
}

/// Kinds of watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum WatchKind {
    /// One-shot, left by getData.
    Data,
    /// One-shot, left by exists.
    Exist,
    /// Persistent, by addWatch.
    Persistent,
    /// Persistent and recursive, by addWatch.
    Recursive,
}

impl WatchKind {
    fn is_one_shot(self) -> bool {
        matches!(self, Self::Data | Self::Exist)
    }

    fn request(self, path: &str, value: &Value) -> (Template, Expect) {
        match self {
            Self::Data => (Template::read(OpCode::GetData, path, &[], true), Expect::Data(value.clone())),
            Self::Exist => (Template::read(OpCode::Exists, path, &[], true), Expect::Stat(value.clone())),
            Self::Persistent => (Template::add_watch(path, 0), Expect::Nothing),
            Self::Recursive => (Template::add_watch(path, 1), Expect::Nothing),
        }
    }
}

/// The connection that changes the znodes; the others watch. The first, so that a round begins with it.
const SETTER: usize = 0;

/// Registers a watch on every path by every watching connection.
struct Register {
    request: Template,
    expect: Expect,
    paths: u32,
    /// The next path of each connection.
    next: Vec<u32>,
}

impl Work for Register {
    fn classes(&self) -> &'static [&'static str] {
        &["register"]
    }

    #[inline]
    fn request(&mut self, connection: usize, xid: i32, out: &mut Vec<u8>) -> Option<Tag> {
        let number = self.next[connection];
        if connection == SETTER || number == self.paths {
            return None;
        }
        self.next[connection] += 1;
        self.request.put(xid, number, out);
        Some(Tag { kind: 0, number })
    }

    #[inline]
    fn reply(&mut self, tag: Tag, reply: &Reply<'_>) -> Verdict {
        // The reply to addWatch is an ErrorResponse: the code once more.
        match self.expect {
            Expect::Nothing if reply.error == 0 => Verdict::good_if(reply.body == [0; 4], "a reply to addWatch"),
            _ => self.expect.judge(tag.number, reply),
        }
    }
}

/// Sets every path once, and takes the event of every watch.
struct Fire {
    set: Sweep,
    root_len: usize,
    paths: u32,
    /// Events still to come, by connection and in all.
    due: Vec<u32>,
    left: u64,
}

impl Work for Fire {
    fn classes(&self) -> &'static [&'static str] {
        self.set.classes()
    }

    fn request(&mut self, connection: usize, xid: i32, out: &mut Vec<u8>) -> Option<Tag> {
        if connection == SETTER { self.set.request(connection, xid, out) } else { None }
    }

    fn reply(&mut self, tag: Tag, reply: &Reply<'_>) -> Verdict {
        self.set.reply(tag, reply)
    }

    fn event(&mut self, connection: usize, event: &Reply<'_>) -> Verdict {
        let right = match WatchEvent::read(&mut Reader::new(event.body)) {
            Ok(event) if event.event_type == EventType::NodeDataChanged as i32 => {
                let number = event.path.get(self.root_len + 2..).and_then(|digits| digits.parse().ok());
                number.is_some_and(|number: u32| number < self.paths)
            }
            _ => false,
        };
        if !right || self.due[connection] == 0 {
            return Verdict::Wrong("an event that was not due");
        }
        self.due[connection] -= 1;
        self.left -= 1;
        Verdict::Good
    }

    fn is_finished(&self) -> bool {
        self.left == 0
    }
}

/// Registers, fires, prints the report.
pub(crate) fn run(on: &OnZnodes, args: &WatchArgs) -> Result<(), BenchError> {
    let (common, root) = (on.common(), on.make_root()?);
    let connections = args.watchers as usize + 1;
    let mut engines = [common.opening(connections).open_all()?];
    let (path, value) = (format!("{root}/w########"), Value::new(args.value_size as usize));
    let set = || Sweep::new(Template::set(&path, &[], value.bytes()), Expect::Stat(value.clone()), args.paths);
    let create = Sweep::create(Template::create(&path, &[], value.bytes()), args.paths);
    if create.tolerating(ErrorCode::NodeExists).prepare(&mut engines[0], &format!("create {path}"))? > 0 {
        set().prepare(&mut engines[0], &format!("set {path}"))?;
    }
    on.catch_up()?;
    let watches = u64::from(args.watchers) * u64::from(args.paths);

    let rss = || args.observed.usage().map(|usage| usage.map(|usage| usage.rss));
    let rss_before = rss()?;
    let (request, expect) = args.kind.request(&path, &value);
    let limits = Limits { deadline: args.round_timeout, ..Sweep::limits(0, DEPTH) };
    let register = |engines: &mut [Engine; 1], what: Option<&str>| {
        let (request, expect) = (request.clone(), expect.clone());
        let mut works = [Register { request, expect, paths: args.paths, next: vec![0; connections] }];
        measure(engines, &mut works, limits, what, Some(&args.observed))
    };
    let first = register(&mut engines, on.progress("register"))?;
    let (rss_after, mut tally, server) = (rss()?, first.tally, first.server);
    let mut to_last = Latencies::new();
    for round in 0..args.rounds {
        if round > 0 && args.kind.is_one_shot() {
            tally.add_bad(&register(&mut engines, None)?.tally);
        }
        let due = vec![args.paths; connections];
        let mut fire = Fire { set: set(), root_len: root.len(), paths: args.paths, due, left: watches };
        let fired = engines[0].run(&mut fire, limits, &Progress::silent())?;
        to_last.record(fired.elapsed_ns, 1);
        tally.add_bad(&fired);
    }
    let [mut engine] = engines;
    if !args.kind.is_one_shot() || args.rounds == 0 {
        // Deleting what is watched would send events to everyone; closing the sessions takes the watches back.
        engine.close()?;
        engine = common.opening(1).open_all()?;
    }
    let delete = Sweep::new(Template::delete(&path, &[]), Expect::Nothing, args.paths);
    delete.prepare(&mut engine, &format!("delete {path}"))?;
    engine.close()?;

    let mut report = Report::new("watch", &tally, &["register"], first.own_cpu, &on.allow_errors)
        .server(server)
        .setting("watchers", args.watchers)
        .setting("paths", args.paths)
        .setting("kind", format!("{:?}", args.kind).to_lowercase())
        .setting("rounds", args.rounds);
    report.figure("watches", watches as f64);
    report.figure("register_s", tally.elapsed_ns as f64 / 1e9);
    if let Some((rss_before, rss_after)) = rss_before.zip(rss_after) {
        report.figure("server_rss_before_bytes", rss_before as f64);
        report.figure("server_rss_after_bytes", rss_after as f64);
        report.figure("server_bytes_per_watch", (rss_after as f64 - rss_before as f64) / watches as f64);
    }
    if let Some(to_last) = to_last.summary() {
        report.figure("last_event_p50_us", to_last.p50);
        report.figure("last_event_p90_us", to_last.p90);
        report.figure("last_event_max_us", to_last.max);
    }
    report.publish(common, 1)
}
