//! TICKETS.md names what tries each ticket: all of them stand there, and what is named is there.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Tickets that the table must hold, ascending.
const TICKETS: [u32; 75] = [
    1069, 1090, 1154, 1156, 1208, 1282, 1343, 1367, 1387, 1489, 1496, 1549, 1551, 1754, 1818, 1863, 2212, 2307, 2325,
    2332, 2354, 2355, 2418, 2623, 2678, 2725, 2776, 2845, 2846, 2865, 2872, 2926, 2959, 3023, 3056, 3072, 3082, 3104,
    3127, 3144, 3145, 3231, 3306, 3336, 3471, 3526, 3642, 3644, 3701, 3707, 3713, 3793, 3829, 3905, 3911, 4026, 4040,
    4269, 4325, 4352, 4362, 4394, 4416, 4537, 4643, 4646, 4685, 4712, 4781, 4785, 4837, 4839, 4846, 4882, 4925,
];

struct Row {
    ticket: u32,
    /// What stands between backticks in the last column.
    places: Vec<String>,
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn rows() -> Vec<Row> {
    let text = std::fs::read_to_string(folder().join("TICKETS.md")).unwrap();
    let row = |line: &str| {
        let ticket = line.strip_prefix("| ZK-")?.split(' ').next()?.parse().ok()?;
        let places = line.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        Some(Row { ticket, places })
    };
    text.lines().filter_map(row).collect()
}

/// The tickets in the heading of a scenario.
fn tickets_of(scenario: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(scenario).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix("ticket: "));
    lines.flat_map(|line| line.split(' ')).map(str::to_owned).collect()
}

#[test]
fn every_ticket_has_one_row_and_a_place() {
    let rows = rows();
    let tickets: BTreeSet<u32> = rows.iter().map(|row| row.ticket).collect();
    assert_eq!(tickets.len(), rows.len(), "a ticket has one row");
    let missing: Vec<u32> = TICKETS.into_iter().filter(|ticket| !tickets.contains(ticket)).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(rows.iter().all(|row| !row.places.is_empty()));
}

#[test]
fn every_place_is_there_and_is_about_its_ticket() {
    for Row { ticket, places } in rows() {
        for place in places {
            if place.starts_with("scenarios/") {
                let name = format!("ZK-{ticket}");
                assert!(tickets_of(&folder().join(&place)).contains(&name), "{place} is not about {name}");
                continue;
            }
            let (file, test) = place.split_once(": ").unwrap_or_else(|| panic!("{place} names no test"));
            let text = std::fs::read_to_string(folder().join("../..").join(file)).unwrap_or_default();
            let begin = text.find(&format!("fn {test}()")).unwrap_or_else(|| panic!("there is no {place}"));
            let before = text.get(..begin).unwrap().lines().rev().map(str::trim);
            let mut attributes = before.skip_while(|line| line.is_empty()).take_while(|line| line.starts_with("#["));
            assert!(attributes.any(|line| line.contains("test]")), "{place} is no test");
        }
    }
}

#[test]
fn every_scenario_stands_in_the_rows_of_its_tickets() {
    let rows = rows();
    for file in std::fs::read_dir(folder().join("scenarios")).unwrap() {
        let (path, name) = {
            let file = file.unwrap();
            (file.path(), file.file_name().into_string().unwrap())
        };
        for ticket in tickets_of(&path) {
            let stands =
                |row: &Row| format!("ZK-{}", row.ticket) == ticket && row.places.contains(&format!("scenarios/{name}"));
            assert!(rows.iter().any(stands), "{name} is not in the row of {ticket}");
        }
    }
}
