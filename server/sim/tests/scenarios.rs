//! Plays all scenarios of the folder.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;

use rookeeper_sim::play;

fn scenarios() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let read = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        (name, std::fs::read_to_string(path).unwrap())
    };
    files.into_iter().map(read).collect()
}

#[test]
fn every_scenario_ends_as_it_should() {
    let scenarios = scenarios();
    assert!(scenarios.len() >= 80);
    let failed: Vec<String> = scenarios
        .iter()
        .filter_map(|(name, text)| play(text, false).failed.map(|failed| format!("{name}: {failed}")))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn a_scenario_is_named_for_its_first_ticket_and_plays_the_same_twice() {
    let mut hashes = BTreeSet::new();
    for (name, text) in scenarios() {
        let (once, twice) = (play(&text, false), play(&text, false));
        assert_eq!(once.hash, twice.hash, "{name}");
        hashes.insert(once.hash);
        let ticket = once.tickets.first().unwrap().to_lowercase();
        assert!(name.starts_with(&format!("{ticket}-")) && name.ends_with(".txt"), "{name}");
    }
    assert!(hashes.len() >= 80, "each scenario is another one");
}

/// Whoever says that it catches a mistake does, and every mistake that can be planted is caught by somebody.
#[cfg(feature = "planted")]
#[test]
fn planted_mistakes_are_caught() {
    use rookeeper_sim::{Mistake, plant};

    let mut caught = BTreeSet::new();
    for (name, text) in scenarios() {
        for mistake in play(&text, false).catches {
            let planted = Mistake::ALL.into_iter().find(|known| format!("{known:?}") == mistake);
            assert!(planted.is_some(), "{name}: {mistake} is no mistake");
            plant(planted);
            assert!(play(&text, false).failed.is_some(), "{name} does not catch {mistake}");
            plant(None);
            caught.insert(mistake);
        }
    }
    let missed: Vec<Mistake> =
        Mistake::ALL.into_iter().filter(|mistake| !caught.contains(&format!("{mistake:?}"))).collect();
    assert!(missed.is_empty(), "{missed:?}");
}

/// What must not happen is told, with its line.
#[test]
fn a_scenario_that_goes_wrong_says_where() {
    let heading = "ticket: ZK-1\nstory: Nothing.\nstart 1 2 3\nuntil leader\n";
    let failed = |lines: &str| play(&format!("{heading}{lines}"), false).failed.unwrap();
    assert!(failed("expect leader 1\nend well").starts_with("line 5: expect leader 1: it is not so"));
    assert!(failed("until 1 down within 100 ms\nend well").contains("within 100 ms"));
    assert_eq!(failed(""), "a scenario ends well, and says so");
    for (line, problem) in [
        ("wipe", "the line is too short"),
        ("explode 1", "\"explode\" is no command"),
        ("crash 1 gladly", "\"gladly\" is too much"),
        ("hold NOTHING 1 -> 2", "\"NOTHING\" is no packet"),
        ("cut 1 - 2", "\"-\" is no arrow"),
        ("until 1 sings", "\"sings\" is nothing of a server"),
        ("client a does dance", "\"dance\" is no request"),
    ] {
        assert_eq!(failed(line), format!("line 5: {problem}: {line}"));
    }
    assert_eq!(play("start 1", false).failed.unwrap(), "line 1: a scenario has a ticket and a story: ");
}
