//! What zkCli does on an ensemble of three: reconfigurations that succeed, one by one and as a file, a member that only
//! reads (`-r`), and a file with the client's configuration: what is printed is the same as on Apache ZooKeeper's.
//!
//! With `COMPAT_SUBJECT=java` both ensembles are Apache ZooKeeper.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::polling::until;
use rookeeper_compat_tests::request::get;
use rookeeper_compat_tests::server::Kind;

/// Member 4 of lists, which never runs.
const ABSENT: &str = "server.4=127.0.0.1:34:35:observer;127.0.0.1:36";

/// Lines that every run prints at its own time, or that name this machine.
const LEFT_OUT: [&str; 8] =
    ["Welcome to ZooKeeper", "JLine support", "Connecting to", "WATCHER::", "WatchedEvent", "\tat ", "ctime", "mtime"];

fn ok<T>(result: Result<T, String>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// An ensemble, and what zkCli printed about it in words that are the same for two of them.
struct Play {
    ensemble: Ensemble,
    versions: Vec<String>,
    transcript: Vec<String>,
}

impl Play {
    /// Runs zkCli with commands, and keeps what it prints.
    fn run(&mut self, id: u8, options: &[&str], commands: &[String]) {
        let zkcli = Path::new(env!("CARGO_MANIFEST_DIR")).join("provision/zkcli.sh");
        let mut command = Command::new(zkcli);
        command.args(options).args(["-server", &self.ensemble.address(id).to_string()]);
        command.env("ZK_LOG_LEVEL", "OFF").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("zkCli");
        let text = commands.join("\n") + "\nquit\n";
        process.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("commands");
        let done = process.wait_with_output().expect("an end");
        let options = self.named(&options.join(" "));
        self.transcript.push(format!("{options} through {id}: exit code {:?}", done.status.code()));
        // What went wrong is told there.
        let said = [done.stdout, done.stderr].concat();
        for line in String::from_utf8_lossy(&said).lines() {
            if !line.is_empty() && !LEFT_OUT.iter().any(|left_out| line.starts_with(left_out)) {
                let line = self.named(line);
                self.transcript.push(line);
            }
        }
    }

    /// A line with names for ports and versions.
    fn named(&mut self, line: &str) -> String {
        let is_version = |word: &&str| word.len() >= 9 && word.chars().all(|c| c.is_ascii_hexdigit());
        let words = line.split([' ', '=']);
        for version in words.filter(is_version) {
            if !self.versions.iter().any(|known| known == version) {
                self.versions.push(version.to_owned());
            }
        }
        let mut line = self.ensemble.named(line);
        for (number, version) in self.versions.iter().enumerate() {
            line = line.replace(version, &format!("v{number}"));
        }
        line
    }
}

/// The version of the list in force.
fn version(control: &mut ControlClient) -> String {
    let (_, frame) = ok(control.call(&get("/zookeeper/config", false)));
    let text = String::from_utf8_lossy(&frame).into_owned();
    let (_, behind) = text.split_once("version=").expect("a list with a version");
    behind.chars().take_while(char::is_ascii_hexdigit).collect()
}

/// All that is done on an ensemble of one kind.
fn play(kind: Kind) -> Vec<String> {
    let config = usual().key("reconfigEnabled", "true").property("readonlymode.enabled", "true");
    // Without, members of Apache ZooKeeper that only read have no sessions to give out.
    let config = config.key("localSessionsEnabled", "true");
    let mut ensemble = ok(Ensemble::prepare_dynamic(&[(kind, Role::Participant); 3], &config));
    ok(ensemble.launch_all());
    ok(ensemble.settle());
    let mut control = ok(ControlClient::connect(ensemble.address(1)));
    ok(control.create("/a"));
    let version = version(&mut control);
    ok(control.close());
    let lines: Vec<_> = [1, 2, 3].map(|id| ensemble.line(id)).into();
    let list = ensemble.beside_zoo_cfg(1, "list");
    std::fs::write(&list, [&lines[..], &[ABSENT.to_owned()]].concat().join("\n") + "\n").expect("a file");
    let properties = ensemble.beside_zoo_cfg(1, "client.properties");
    let netty = "zookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty\n";
    std::fs::write(&properties, netty).expect("a file");

    let mut play = Play { ensemble, versions: Vec::new(), transcript: Vec::new() };
    let absent = |role| ABSENT.replace("observer", role);
    let commands = [
        "reconfig -remove 3".to_owned(),
        "addauth digest super:test".to_owned(),
        "config".to_owned(),
        format!("reconfig -v {version} -add {ABSENT}"),
        "config -c".to_owned(),
        format!("reconfig -v {version} -remove 4"),
        format!("reconfig -add {}", absent("participant")),
        "reconfig -remove 4".to_owned(),
        format!("reconfig -file {}", list.display()),
        "reconfig -s -remove 4".to_owned(),
        format!("reconfig -members {}", lines.join(",")),
        format!("reconfig -add {ABSENT} -remove 9"),
        "reconfig -remove 4".to_owned(),
        "config".to_owned(),
        "config -s".to_owned(),
    ];
    play.run(1, &["-waitforconnection"], &commands);
    ok(play.ensemble.settle());
    let shown = ["config".to_owned(), "ls /".to_owned()];
    let configuration = ["-waitforconnection", "-client-configuration", &properties.to_string_lossy()];
    play.run(3, &configuration, &shown);
    play.run(2, &["-waitforconnection", "-r"], &shown);

    for id in [2, 3] {
        play.ensemble.kill(id);
    }
    let reads = |ensemble: &Ensemble| ensemble.server(1).ask("srvr").is_some_and(|text| text.contains("read-only"));
    ok(until("member 1 only reads", || Ok(reads(&play.ensemble))));
    let alone = ["ls /", "get /a", "create /b x", "set /a x"].map(str::to_owned);
    // With `-waitforconnection` it would wait for one that writes; without, its first request may come too early.
    let said = play.transcript.len();
    ok(until("member 1 answers", || {
        play.transcript.truncate(said);
        play.run(1, &["-r"], &alone);
        Ok(!play.transcript[said..].iter().any(|line| line.contains("ConnectionLoss")))
    }));
    play.transcript
}

#[test]
fn zkcli_prints_the_same() {
    let subject = std::thread::spawn(|| play(subject_kind()));
    let (reference, subject) = (play(Kind::Java), subject.join().expect("a play"));
    for (reference, subject) in reference.iter().zip(&subject).filter(|(one, other)| one != other) {
        eprintln!("Apache ZooKeeper: {reference}\nthe subject:      {subject}\n");
    }
    assert!(reference == subject, "{} lines and {}", reference.len(), subject.len());
    // They would also agree where nothing has worked.
    let committed = reference.iter().filter(|line| line.starts_with("Committed new configuration")).count();
    assert_eq!(committed, 8, "{reference:#?}");
}
