//! Whole runs against a server whose faults are known: what is right is counted, what is wrong is noticed.

#![allow(clippy::unwrap_used)]

mod fake;

use std::fs;

use clap::Parser;
use fake::Fault;
use rookeeper_bench::{BenchArgs, BenchError, run};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    bench: BenchArgs,
}

/// Runs `bench WORDS` against a server with this fault; returns the outcome and the report, if there is one.
fn bench(fault: Fault, words: &str) -> (Result<(), BenchError>, serde_json::Value) {
    let (folder, address) = (tempfile::tempdir().unwrap(), fake::start(fault).to_string());
    let json = folder.path().join("report.json");
    let own = std::process::id().to_string();
    let common = ["--servers", &address, "--json", json.to_str().unwrap()];
    let observed = ["--server-pid", &own].into_iter().filter(|_| !words.starts_with("gap"));
    let words = ["test"].into_iter().chain(words.split_whitespace()).chain(common).chain(observed);
    let outcome = run(Arguments::try_parse_from(words).unwrap().bench);
    let report = fs::read(&json).map_or(serde_json::Value::Null, |bytes| serde_json::from_slice(&bytes).unwrap());
    (outcome, report)
}

#[test]
fn every_load_is_counted_to_the_last_reply() {
    for command in ["get", "set", "exists", "mix --gets 50", "create-delete"] {
        let words = format!("{command} -c 7 -d 3 -n 1000 --warmup 0 --keys 20");
        let (outcome, report) = bench(Fault::None, &words);
        outcome.unwrap();
        assert_eq!(report["ops"], 1000, "{command}");
        assert_eq!(report["latency_us"]["count"], 1000, "{command}");
        assert!(report["latency_us"]["p50"].as_f64().unwrap() > 0.0, "{command}");
        assert!(report["client_cpu_us_per_op"].as_f64().unwrap() > 0.0, "{command}");
        assert!(report["server"]["rss"].as_u64().unwrap() > 0, "{command}");
    }
}

#[test]
fn threads_share_the_operations() {
    let (outcome, report) = bench(Fault::None, "get -c 5 -d 2 -n 1001 --warmup 0 --keys 5 --threads 2");
    outcome.unwrap();
    assert_eq!(report["ops"], 1002, "the operations are split evenly, rounded up");
}

#[test]
fn an_open_loop_makes_as_many_requests_as_are_due() {
    let (outcome, report) = bench(Fault::None, "set -c 3 --rate 500 -t 400ms --warmup 0 --keys 5");
    outcome.unwrap();
    assert_eq!(report["ops"], 200);
    assert!(report["elapsed_s"].as_f64().unwrap() >= 0.39, "{report}");
}

#[test]
fn filled_znodes_are_checked_and_removed() {
    let address = fake::start(Fault::None).to_string();
    let run = |words: &str| {
        let words = ["test"].into_iter().chain(words.split_whitespace()).chain(["--quiet", "--servers", &address]);
        run(Arguments::try_parse_from(words).unwrap().bench)
    };
    run("fill -n 250 --per-parent 100 -c 3").unwrap();
    run("check -n 250 --per-parent 100 -c 3").unwrap();
    let other_size = run("check -n 250 --per-parent 100 -c 3 --value-size 101");
    assert!(matches!(other_size, Err(BenchError::Replies { errors: 0, wrong: 250 })), "{other_size:?}");
    let again = run("fill -n 250 --per-parent 100 -c 3");
    assert!(matches!(again, Err(BenchError::Replies { errors: 250, wrong: 0 })), "{again:?}");
    run("remove -n 250 --per-parent 100 -c 3").unwrap();
    let gone = run("check -n 250 --per-parent 100 -c 3");
    assert!(matches!(gone, Err(BenchError::Replies { errors: 250, wrong: 0 })), "{gone:?}");
}

#[test]
fn watches_fire_once_each() {
    let (outcome, report) = bench(Fault::None, "watch -w 20 -p 3 -n 4");
    outcome.unwrap();
    assert_eq!(report["figures"]["watches"], 60.0);
    assert!(report["figures"]["last_event_p50_us"].as_f64().unwrap() > 0.0);
    let (outcome, report) = bench(Fault::EventTwice(5), "watch -w 20 -n 1");
    assert!(matches!(outcome, Err(BenchError::Replies { errors: 0, wrong: 1 })), "{outcome:?}");
    assert_eq!(report["wrong"]["an event that was not due"], 1);
}

#[test]
fn one_wrong_reply_among_thousands_fails_the_run() {
    let words = "get -c 4 -d 5 -n 3000 --warmup 0 --keys 10";
    let (outcome, report) = bench(Fault::WrongData(1234), words);
    assert!(matches!(outcome, Err(BenchError::Replies { errors: 0, wrong: 1 })), "{outcome:?}");
    assert_eq!(report["ops"], 3000);
    let (outcome, report) = bench(Fault::Error(1234), words);
    assert!(matches!(outcome, Err(BenchError::Replies { errors: 1, wrong: 0 })), "{outcome:?}");
    assert_eq!(report["errors"]["-101 NoNode"], 1);
    let (outcome, report) = bench(Fault::Error(1234), &format!("{words} --allow-errors -101"));
    outcome.unwrap();
    assert_eq!(report["allowed_errors"]["-101 NoNode"], 1);
}

#[test]
fn a_fault_in_the_warm_up_counts_too() {
    let (outcome, _) = bench(Fault::WrongData(3), "get -c 1 -d 5 -n 50 --warmup 100ms --keys 10");
    assert!(matches!(outcome, Err(BenchError::Replies { errors: 0, wrong: 1 })), "{outcome:?}");
}

#[test]
fn broken_order_and_lost_connections_end_the_run() {
    let words = "get -c 4 -d 5 -n 3000 --warmup 0 --keys 10";
    let outcome = bench(Fault::WrongXid(1000), words).0;
    assert!(matches!(&outcome, Err(BenchError::Lost { reason, .. }) if reason.contains("xid")), "{outcome:?}");
    let outcome = bench(Fault::Disconnect(1000), words).0;
    assert!(matches!(&outcome, Err(BenchError::Lost { unanswered: 1.., .. })), "{outcome:?}");
}

#[test]
fn refused_sessions_are_counted() {
    let (outcome, report) = bench(Fault::SessionsMax(31), "sessions -n 40");
    assert!(matches!(outcome, Err(BenchError::Replies { errors: 10, wrong: 0 })), "{outcome:?}");
    assert_eq!(report["figures"]["refused"], 10.0, "one session of the 31 was the tool's own");
    assert_eq!(report["ops"], 30);
    let outcome = bench(Fault::SessionsMax(3), "get -c 5 -n 10").0;
    assert!(matches!(&outcome, Err(BenchError::Connect(message)) if message.contains("3 of 5")), "{outcome:?}");
}

#[test]
fn a_gap_ends_when_another_server_answers() {
    let (outcome, report) = bench(Fault::None, "gap -t 300ms --at-most 10s");
    outcome.unwrap();
    assert!(report["ops"].as_u64().unwrap() > 10);
    assert!(report["figures"]["longest_gap_ms"].as_f64().unwrap() < 300.0);
}

#[test]
fn nonsense_is_refused_by_name() {
    for (words, named) in [
        ("get --connections 0", "--connections"),
        ("get --rate 0", "--rate"),
        ("get --duration 5d", "--duration"),
        ("get --root /zookeeper/x", "--root"),
        ("get --ops 5 --duration 5s", "--duration"),
        ("mix --gets 101", "--gets"),
        ("watch --kind nonsense", "--kind"),
        ("fill --count 0", "--count"),
        ("start", "COMMAND"),
    ] {
        let error = Arguments::try_parse_from(["test"].into_iter().chain(words.split_whitespace())).unwrap_err();
        assert!(error.to_string().contains(named), "{words}: {error}");
    }
    let (outcome, _) = bench(Fault::None, "get -c 2 --threads 3");
    assert!(matches!(&outcome, Err(BenchError::Usage(message)) if message.contains("--threads 3")), "{outcome:?}");
}
