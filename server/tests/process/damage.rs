//! Damaged files: a torn end is cut and told, damage anywhere else stops the start and changes nothing.

use std::fs;
use std::process::Output;

use crate::support::folder::{RecordAt, records};
use crate::support::{Client, Folder, Server};

const ZNODES: usize = 60;

/// A server has made znodes and was killed. Its newest segment, and the records in it.
fn killed_after_writing(folder: &Folder) -> (std::path::PathBuf, Vec<u8>, Vec<RecordAt>) {
    let server = Server::start(folder, &[]);
    let mut client = Client::connect(server.address).unwrap();
    for number in 0..ZNODES {
        client.create(&format!("/z{number}"), &[b'x'; 100]);
    }
    server.kill();
    let path = folder.segment();
    let bytes = fs::read(&path).unwrap();
    let records = records(&bytes);
    // A session and its znodes at least: the helper reads segments as they are.
    assert!(records.len() > ZNODES, "{} records", records.len());
    (path, bytes, records)
}

fn there(folder: &Folder) -> (Server, usize) {
    let server = Server::start(folder, &[]);
    let mut client = Client::connect(server.address).unwrap();
    let count = (0..ZNODES).filter(|number| client.get(&format!("/z{number}")).is_some()).count();
    (server, count)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn a_flipped_byte_stops_the_start_with_file_offset_and_advice() {
    let folder = Folder::new();
    let (path, sound, records) = killed_after_writing(&folder);
    let record = records[records.len() / 2];
    // In the header (zxid), and in the payload.
    for within in [26, record.length - 5] {
        let mut bytes = sound.clone();
        bytes[record.offset + within] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let end = Server::try_start(&folder, &[]).expect_err("a start with a damaged log");
        assert_eq!(end.code, Some(3), "{}", end.log);
        let place = format!("{} is damaged at offset {}", path.display(), record.offset);
        assert!(end.log.contains(&place) && end.log.contains("backup"), "{place}: {}", end.log);
        assert_eq!(fs::read(&path).unwrap(), bytes, "a refused start has changed the log");
        let output = folder.verify();
        assert_eq!(output.status.code(), Some(3), "{}", said(&output));
        assert!(said(&output).contains(&place) && said(&output).contains("NOT SOUND"), "{}", said(&output));
    }
    fs::write(&path, &sound).unwrap();
    folder.must_be_sound();
    assert_eq!(there(&folder).1, ZNODES);
}

#[test]
fn a_missing_segment_stops_the_start() {
    let folder = Folder::new();
    let (path, ..) = killed_after_writing(&folder);
    fs::rename(&path, path.with_extension("kept")).unwrap();
    let end = Server::try_start(&folder, &[]).expect_err("a start without a log");
    assert_eq!(end.code, Some(3), "{}", end.log);
    assert!(end.log.contains("there is no log in it") && end.log.contains("dataLogDir"), "{}", end.log);
    fs::rename(path.with_extension("kept"), &path).unwrap();
    assert_eq!(there(&folder).1, ZNODES);
}

#[test]
fn a_torn_end_is_cut_and_told() {
    let folder = Folder::new();
    let (path, mut bytes, records) = killed_after_writing(&folder);
    // The beginning of one more record, as a crash leaves it: acknowledged to nobody.
    let last = *records.last().unwrap();
    let end = last.offset + last.length;
    let mut next = bytes[last.offset..end].to_vec();
    let sequence = u64::from_le_bytes(next[8..16].try_into().unwrap()) + 1;
    next[8..16].copy_from_slice(&sequence.to_le_bytes());
    let torn = last.length / 2;
    bytes[end..end + torn].copy_from_slice(&next[..torn]);
    fs::write(&path, &bytes).unwrap();

    let output = folder.verify();
    let text = said(&output);
    assert!(output.status.success() && text.contains("torn") && text.ends_with("sound\n"), "{text}");
    let (server, count) = there(&folder);
    assert_eq!(count, ZNODES);
    let line = server.process.line("torn").expect("a line about the torn end");
    assert!(line.contains(path.to_str().unwrap()) && line.contains(&end.to_string()), "{line}");
    server.kill();
    // What was cut does not come back, and is not told twice.
    folder.must_be_sound();
    let (server, count) = there(&folder);
    assert_eq!(count, ZNODES);
    assert!(!server.process.logged().contains("torn"), "{}", server.process.logged());
}

#[test]
fn a_torn_last_record_costs_that_record_only() {
    let folder = Folder::new();
    let (path, mut bytes, records) = killed_after_writing(&folder);
    let last = *records.last().unwrap();
    bytes[last.offset + last.length / 2..last.offset + last.length].fill(0);
    fs::write(&path, &bytes).unwrap();
    let (server, count) = there(&folder);
    assert_eq!(count, ZNODES - 1);
    assert!(server.process.line("torn").is_some());
}
