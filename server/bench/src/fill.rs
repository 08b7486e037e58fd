//! fill, check: many znodes, created in a pipeline, and read back.

use clap::{Args, value_parser};
use rookeeper_protocol::types::{ErrorCode, OpCode};

use crate::args::{CONNECTIONS_MAX, Observed, OnZnodes};
use crate::engine::{Engine, Work};
use crate::error::BenchError;
use crate::measure::measure;
use crate::reply::Expect;
use crate::report::Report;
use crate::sweep::Sweep;
use crate::template::{Template, Value};

/// How many znodes, and how.
#[derive(Debug, Clone, Args)]
pub(crate) struct FillArgs {
    /// Znodes.
    #[arg(short = 'n', long, default_value_t = 1_000_000, value_parser = value_parser!(u32).range(1..=50_000_000))]
    count: u32,
    /// Znodes below one parent.
    #[arg(long, default_value_t = 1000, value_parser = value_parser!(u32).range(1..=1_000_000), value_name = "ZNODES")]
    per_parent: u32,
    /// Bytes of data per znode.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(0..=1_000_000), value_name = "BYTES")]
    value_size: u32,
    /// Connections.
    #[arg(short, long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=i64::from(CONNECTIONS_MAX)))]
    connections: u32,
    /// Requests under way per connection.
    #[arg(short, long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=100_000))]
    depth: u32,
    #[command(flatten)]
    observed: Observed,
}

/// Which pass over the znodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pass {
    /// Creates them; they must not exist.
    Fill,
    /// Reads all of them and compares.
    Check,
    /// Deletes them.
    Remove,
}

/// Runs one pass and prints its report.
pub(crate) fn run(pass: Pass, on: &OnZnodes, args: &FillArgs) -> Result<(), BenchError> {
    let (common, root) = (on.common(), on.make_root()?);
    let mut engine = common.opening(args.connections as usize).open_all()?;
    let parents = args.count.div_ceil(args.per_parent);
    let (parent, value) = (format!("{root}/d########"), Value::new(args.value_size as usize));
    let (path, divisors) = (format!("{parent}/n########"), [args.per_parent, 1]);
    let (name, sweep) = match pass {
        Pass::Fill => {
            let create = Sweep::create(Template::create(&parent, &[], &[]), parents);
            create.tolerating(ErrorCode::NodeExists).prepare(&mut engine, &format!("create {parent}"))?;
            on.catch_up()?;
            ("fill", Sweep::create(Template::create(&path, &divisors, value.bytes()), args.count))
        }
        Pass::Check => {
            let get = Template::read(OpCode::GetData, &path, &divisors, false);
            ("check", Sweep::new(get, Expect::Data(value), args.count))
        }
        Pass::Remove => ("remove", Sweep::new(Template::delete(&path, &divisors), Expect::Nothing, args.count)),
    };
    let limits = Sweep::limits(args.count as usize, args.depth as usize);
    let (mut engines, mut sweeps) = ([engine], [sweep]);
    let what = on.progress(name);
    let measured = measure(&mut engines, &mut sweeps, limits, what, Some(&args.observed))?;
    let [mut engine] = engines;
    if pass == Pass::Remove && measured.tally.bad() == (0, 0) {
        let delete = Sweep::new(Template::delete(&parent, &[]), Expect::Nothing, parents);
        delete.prepare(&mut engine, &format!("delete {parent}"))?;
    }
    Engine::close(engine)?;
    let mut report = Report::new(name, &measured.tally, sweeps[0].classes(), measured.own_cpu, &on.allow_errors)
        .server(measured.server)
        .setting("znodes", args.count)
        .setting("value bytes", args.value_size)
        .setting("connections", args.connections)
        .setting("depth", args.depth);
    if pass == Pass::Check {
        let (errors, wrong) = measured.tally.bad();
        report.figure("znodes_missing_or_wrong", (errors + wrong) as f64);
    }
    report.publish(common, 1)
}
