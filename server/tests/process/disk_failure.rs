//! A disk that fails under a running server: nothing more is acknowledged, the process ends with a code and says what
//! to do, and with the disk mended everything that was acknowledged is there.

use std::collections::{BTreeSet, VecDeque};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use rookeeper_protocol::types::CreateMode;

use crate::support::process::{End, Process, configuration};
use crate::support::random::Random;
use crate::support::{Client, Folder, PATIENCE, Server, ask, not_run};

/// Exit code of a server whose disk failed (Java's `ExitCode.TXNLOG_ERROR_TAKING_SNAPSHOT`).
const DISK_FAILED: Option<i32> = Some(10);

/// Writers, and requests that each has on their way.
const WRITERS: usize = 2;
const DEPTH: usize = 8;

/// A small file system in memory.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(path: PathBuf, mib: u32) -> Result<Self, String> {
        fs::create_dir_all(&path).unwrap();
        mount(&["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs", path.to_str().unwrap()])?;
        Ok(Self(path))
    }

    /// Mounts again with other options.
    fn change(&self, options: &str) {
        mount(&["-o", &format!("remount,{options}"), self.0.to_str().unwrap()]).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a process that is being killed may still have files open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn mount(arguments: &[&str]) -> Result<(), String> {
    let output = Command::new("mount").args(arguments).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
    }
}

/// Creates znodes of random data until the connection is lost: those that were acknowledged.
fn write(address: SocketAddr, name: &str, length: usize, mut random: Random) -> Vec<String> {
    let mut client = Client::connect(address).unwrap();
    let (mut waiting, mut known) = (VecDeque::new(), Vec::new());
    for number in 0.. {
        let path = format!("/{name}-{number}");
        if client.ask(&ask::create(&path, &random.bytes(length), CreateMode::Persistent)).is_err() {
            break;
        }
        waiting.push_back(path);
        if waiting.len() == DEPTH {
            let Ok(reply) = client.reply(PATIENCE) else { break };
            assert_eq!(reply.error, 0);
            known.extend(waiting.pop_front());
        }
    }
    while let Ok(reply) = client.reply(PATIENCE) {
        assert_eq!(reply.error, 0);
        known.extend(waiting.pop_front());
    }
    known
}

/// Has clients write until the server ends by itself: what was acknowledged, and how it ended.
fn write_until_the_end(mut server: Server, name: &str, length: usize) -> (Vec<String>, End) {
    let mut random = Random::new();
    let address = server.address;
    let known = std::thread::scope(|scope| {
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (name, random) = (format!("{name}{writer}"), random.fork());
                scope.spawn(move || write(address, &name, length, random))
            })
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    });
    (known, server.process.end())
}

fn must_be_there(server: &Server, known: &[String]) {
    let mut client = Client::connect(server.address).unwrap();
    let there: BTreeSet<_> = client.children("/").into_iter().collect();
    for path in known {
        assert!(there.contains(&path[1..]), "{path} was acknowledged and is gone");
    }
    client.must(&ask::create("/after-", b"", CreateMode::PersistentSequential));
}

fn must_say(end: &End, texts: &[&str]) {
    for text in texts {
        assert!(end.log.contains(text), "no {text:?} in: {}", end.log);
    }
}

/// What is small: the folder of the log, that of the image, or the one that holds both.
fn fill(what: &str, data: &str, log: &str, snap_count: &str) {
    let folder = Folder::new();
    let disk = match SmallDisk::mount(folder.path("small"), 8) {
        Ok(disk) => disk,
        Err(why) => return not_run(what, &format!("cannot mount a file system: {why}")),
    };
    let (data, log) = (folder.path(data), folder.path(log));
    let keys = [
        ("dataDir", data.to_str().unwrap()),
        ("dataLogDir", log.to_str().unwrap()),
        ("snapCount", snap_count),
        ("preAllocSize", "256"),
    ];
    let (mut known, end) = write_until_the_end(Server::start(&folder, &keys), "first", 4000);
    assert_eq!(end.code, DISK_FAILED, "{}", end.log);
    must_say(&end, &["the disk is full: make room", "start again"]);
    assert!(known.len() > 100, "only {} writes before the disk was full", known.len());

    // Still full: it starts and fails again, or says why it does not. Either way nothing gets lost.
    match Server::try_start(&folder, &keys) {
        Ok(server) => {
            let (more, end) = write_until_the_end(server, "second", 4000);
            assert_eq!(end.code, DISK_FAILED, "{}", end.log);
            must_say(&end, &["the disk is full"]);
            known.extend(more);
        }
        Err(end) => {
            assert_eq!(end.code, Some(3), "{}", end.log);
            must_say(&end, &["the disk is full"]);
        }
    }
    disk.change("size=64m");
    let server = Server::start(&folder, &keys);
    must_be_there(&server, &known);
    server.kill();
    // And once more, from what the mended server left.
    must_be_there(&Server::start(&folder, &keys), &known);
    eprintln!("{what}: {} writes acknowledged before the end, all there", known.len());
}

#[test]
fn a_full_disk_under_both() {
    fill("a full disk under both", "small/data", "small/data", "1000");
}

#[test]
fn a_full_disk_under_the_log() {
    fill("a full disk under the log", "data", "small/log", "1000000");
}

#[test]
fn a_full_disk_under_the_image() {
    fill("a full disk under the image", "small/data", "log", "200");
}

#[test]
fn a_disk_that_may_not_be_written() {
    let folder = Folder::new();
    let disk = match SmallDisk::mount(folder.data(), 32) {
        Ok(disk) => disk,
        Err(why) => return not_run("a read-only file system", &format!("cannot mount a file system: {why}")),
    };
    let keys = [("preAllocSize", "256")];
    let server = Server::start(&folder, &keys);
    Client::connect(server.address).unwrap().create("/kept", b"");
    server.kill();
    disk.change("ro");
    let end = Server::try_start(&folder, &keys).expect_err("a start on a read-only file system");
    assert_eq!(end.code, Some(3), "{}", end.log);
    must_say(&end, &["cannot", folder.data().to_str().unwrap(), "Read-only file system"]);
    disk.change("rw");
    must_be_there(&Server::start(&folder, &keys), &["/kept".to_owned()]);
}

/// A limit on the size of files stands for a disk that refuses a write: it needs no rights.
#[test]
fn a_write_that_is_refused() {
    let folder = Folder::new();
    let keys = [("preAllocSize", "128")];
    let file = configuration(&folder, &keys);
    let mut command = Command::new("sh");
    // In blocks of 512 bytes: 512 KiB. The signal that goes with the refusal would end the process.
    command.args(["-c", "trap '' XFSZ; ulimit -f 1024; exec \"$0\" server \"$1\""]);
    command.arg(env!("CARGO_BIN_EXE_rookeeper")).arg(file);
    let server = Server::await_start(Process::spawn(command)).unwrap_or_else(|end| panic!("{end:?}"));
    let mut client = Client::connect(server.address).unwrap();
    let known: Vec<_> = (0..20).map(|number| format!("/small-{number}")).collect();
    known.iter().for_each(|path| client.create(path, b"small"));
    // Longer than any file may be.
    let asked = client.call(&ask::create("/large", &Random::new().bytes(900 << 10), CreateMode::Persistent));
    assert!(asked.is_err(), "acknowledged what cannot be on disk: {asked:?}");
    let mut server = server;
    let end = server.process.end();
    assert_eq!(end.code, DISK_FAILED, "{}", end.log);
    must_say(&end, &["File too large", ".log", "start again"]);
    must_be_there(&Server::start(&folder, &keys), &known);
}

#[test]
fn a_log_folder_that_vanishes() {
    let folder = Folder::new();
    let keys = [("preAllocSize", "128"), ("snapCount", "1000000")];
    let server = Server::start(&folder, &keys);
    let log = folder.data().join("rookeeper/log");
    let aside = log.with_extension("aside");
    move_away(&log, &aside);
    let (known, end) = write_until_the_end(server, "written", 4000);
    assert_eq!(end.code, DISK_FAILED, "{}", end.log);
    must_say(&end, &["cannot", log.to_str().unwrap(), "No such file or directory", "start again"]);
    assert!(!known.is_empty());
    if log.exists() {
        fs::remove_dir_all(&log).unwrap();
    }
    move_away(&aside, &log);
    must_be_there(&Server::start(&folder, &keys), &known);
}

fn move_away(from: &Path, to: &Path) {
    fs::rename(from, to).unwrap();
}
