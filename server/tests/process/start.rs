//! Starting: what is told, what is refused, and with which exit code.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::support::folder::verify;
use crate::support::process::{End, Process, configuration};
use crate::support::{Folder, Server, ask};

/// Exit codes (`ExitCode` of Java).
const WRONG_CONFIGURATION: Option<i32> = Some(2);
const FOLDER_UNUSABLE: Option<i32> = Some(3);

fn refused(folder: &Folder, keys: &[(&str, &str)]) -> End {
    match Server::try_start(folder, keys) {
        Ok(server) => panic!("started: {}", server.process.logged()),
        Err(end) => end,
    }
}

fn must_say(end: &End, texts: &[&str]) {
    for text in texts {
        assert!(end.log.contains(text), "no {text:?} in: {}", end.log);
    }
}

#[test]
fn without_a_file_it_tells_its_defaults_in_one_line() {
    let folder = Folder::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_rookeeper"));
    command.arg("server").current_dir(folder.path(""));
    let process = Process::spawn(command);
    // The port may be in use on this machine; what is meant is told before.
    let line = process.line("no configuration was given").expect("a line");
    assert!(line.contains("port 2181") && line.contains("./rookeeper-data"), "{line}");
}

#[test]
fn a_wrong_configuration_is_told_with_file_line_and_key() {
    let folder = Folder::new();
    let data = folder.data();
    let file = folder
        .write("wrong.cfg", &format!("# a comment\ntickTime=soon\ndataDir={}\nclientPort=70000\n", data.display()));
    let end = Process::server(&[file.to_str().unwrap()]).end();
    assert_eq!(end.code, WRONG_CONFIGURATION, "{}", end.log);
    must_say(&end, &["wrong.cfg:2: tickTime: ", "\"soon\" is not allowed", "wrong.cfg:4: clientPort: "]);
    assert!(!data.exists(), "a refused start has made its folder");

    let end = Process::server(&["/nowhere/zoo.cfg"]).end();
    assert_eq!(end.code, WRONG_CONFIGURATION, "{}", end.log);
    must_say(&end, &["/nowhere/zoo.cfg"]);
}

#[test]
fn a_second_process_is_kept_out_of_a_folder_in_use() {
    let folder = Folder::new();
    let log = folder.path("log");
    let keys = [("dataLogDir", log.to_str().unwrap())];
    let first = Server::start(&folder, &keys);
    let pid = format!("(pid {})", first.process.pid());

    let end = refused(&folder, &keys);
    assert_eq!(end.code, FOLDER_UNUSABLE, "{}", end.log);
    must_say(&end, &["in use by another process", &pid, "another dataDir"]);

    let other = Folder::new();
    let end = refused(&other, &keys);
    assert_eq!(end.code, FOLDER_UNUSABLE, "the same dataLogDir: {}", end.log);
    must_say(&end, &["in use by another process", &pid]);

    let output = folder.verify();
    assert_eq!(output.status.code(), FOLDER_UNUSABLE);
    assert!(String::from_utf8_lossy(&output.stderr).contains(&pid), "verify beside a running server");

    first.kill();
    Server::start(&folder, &keys);
}

#[test]
fn a_port_in_use_is_told_and_the_data_left_alone() {
    let folder = Folder::new();
    let taken = TcpListener::bind(("::", 0)).or_else(|_| TcpListener::bind(("0.0.0.0", 0))).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let end = refused(&folder, &[("clientPort", &port)]);
    assert_eq!(end.code, Some(1), "{}", end.log);
    must_say(&end, &["cannot listen on", &port, "is another server running there?"]);
    assert!(!folder.data().exists());
}

#[test]
fn a_folder_that_cannot_be_made_or_written_is_told() {
    let folder = Folder::new();
    folder.write("file", "");
    for path in [folder.path("file"), folder.path("file/data"), "/proc/rookeeper".into()] {
        let path = path.to_str().unwrap();
        let end = refused(&folder, &[("dataDir", path)]);
        assert_eq!(end.code, FOLDER_UNUSABLE, "{}", end.log);
        must_say(&end, &["cannot", path]);
    }
    let end = refused(&folder, &[("datadir.autocreate", "false")]);
    assert_eq!(end.code, FOLDER_UNUSABLE, "{}", end.log);
    must_say(&end, &[folder.data().to_str().unwrap(), "make it"]);
    assert!(!folder.data().exists());
}

#[test]
fn a_file_that_may_not_be_read_is_told() {
    let folder = Folder::new();
    Server::start(&folder, &[]).kill();
    // A folder where the format file should be cannot be read, by root neither.
    let format = folder.data().join("rookeeper/FORMAT");
    fs::remove_file(&format).unwrap();
    fs::create_dir(&format).unwrap();
    let end = refused(&folder, &[]);
    assert_eq!(end.code, FOLDER_UNUSABLE, "{}", end.log);
    must_say(&end, &["cannot read", format.to_str().unwrap()]);
}

#[test]
fn an_unknown_format_is_refused() {
    let folder = Folder::new();
    Server::start(&folder, &[]).kill();
    let format = folder.data().join("rookeeper/FORMAT");
    let text = fs::read_to_string(&format).unwrap();
    fs::write(&format, text.replace("format 1", "format 99")).unwrap();
    let end = refused(&folder, &[]);
    assert_eq!(end.code, FOLDER_UNUSABLE, "{}", end.log);
    must_say(&end, &[format.to_str().unwrap(), "format version 99", "start the version that wrote it"]);
    let output = folder.verify();
    assert_eq!(output.status.code(), FOLDER_UNUSABLE);
    assert!(String::from_utf8_lossy(&output.stderr).contains("format version 99"));
    fs::write(&format, text).unwrap();
    Server::start(&folder, &[]);
}

#[test]
fn the_data_of_apache_zookeeper_is_not_taken_for_an_empty_folder() {
    let folder = Folder::new();
    let theirs = folder.data().join("version-2");
    fs::create_dir_all(&theirs).unwrap();
    fs::write(theirs.join("log.1"), b"ZKLG").unwrap();
    let end = refused(&folder, &[]);
    assert_eq!(end.code, FOLDER_UNUSABLE, "{}", end.log);
    must_say(&end, &["Apache ZooKeeper", "choose another dataDir"]);
    assert!(!folder.data().join("rookeeper").exists());
}

#[test]
fn a_restart_tells_what_it_found() {
    let folder = Folder::new();
    let server = Server::start(&folder, &[]);
    let mut client = crate::support::Client::connect(server.address).unwrap();
    for name in ["/a", "/a/b", "/a/c"] {
        client.create(name, b"data");
    }
    client.must(&ask::sync("/"));
    let zxid = client.zxid;
    server.kill();
    folder.must_be_sound();
    let server = Server::start(&folder, &[]);
    let line = server.process.line("recovered ").expect("a line");
    // Three znodes, the root, what Java makes by itself (/zookeeper, its config, its quota).
    assert!(line.contains("recovered 8 znodes and 1 sessions"), "{line}");
    assert!(line.contains(&format!("at zxid 0x{zxid:x}")), "{line}");
}

#[test]
fn verify_needs_a_store() {
    let folder = Folder::new();
    for path in [folder.path("missing"), folder.path("")] {
        let output = verify(Path::new(&path));
        let text = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), FOLDER_UNUSABLE, "{text}");
        assert!(text.contains("there is no store in it"), "{text}");
    }
    assert!(!folder.path("missing").exists(), "verify has made a folder");
    configuration(&folder, &[]);
    Server::start(&folder, &[]).kill();
    folder.must_be_sound();
}
