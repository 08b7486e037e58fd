//! Ensembles that grow from one member to five and shrink to one under constant load, of one kind and of both: nothing
//! that was acknowledged is lost, no session ends, no watch is missed, and members are equal at each size.
//!
//! With `COMPAT_SUBJECT=java` all members are Apache ZooKeeper.

use rookeeper_compat_tests::body::Text;
use rookeeper_compat_tests::compare::subject_kind;
use rookeeper_compat_tests::control::ControlClient;
use rookeeper_compat_tests::ensemble::{Ensemble, Role, usual};
use rookeeper_compat_tests::load::Load;
use rookeeper_compat_tests::request::reconfig;
use rookeeper_compat_tests::server::{Config, Kind};
use rookeeper_protocol::types::ErrorCode;

/// Steps of the load between two changes.
const STEPS: u64 = 100;

/// Whatever the present list is.
const ANY: i64 = -1;

struct Growth {
    // Ends before the servers do, which its workers would look for.
    load: Load,
    ensemble: Ensemble,
    members: Vec<u8>,
}

fn config() -> Config {
    usual().key("reconfigEnabled", "true").key("standaloneEnabled", "false")
}

impl Growth {
    /// One member that is an ensemble, and folders of the others, whose lists name the first one and themselves.
    fn start(kinds: &[Kind]) -> Result<Self, String> {
        let mut ensemble = Ensemble::prepare_dynamic(&[(kinds[0], Role::Participant)], &config())?;
        for kind in &kinds[1..] {
            ensemble.prepare_joining(*kind, Role::Participant, &[1], &config())?;
        }
        ensemble.launch(1)?;
        ensemble.settle_among(&[1])?;
        let load = Load::start(&ensemble.addresses())?;
        Ok(Self { ensemble, members: vec![1], load })
    }

    /// These servers start, and are members when they know what the leader knows.
    fn join(&mut self, ids: &[u8]) -> Result<(), String> {
        let running: Vec<_> = self.members.iter().chain(ids).copied().collect();
        ids.iter().try_for_each(|id| self.ensemble.launch(*id))?;
        self.ensemble.settle_among(&running)?;
        let lines: Vec<_> = ids.iter().map(|id| self.ensemble.line(*id)).collect();
        self.reconfigure(self.members[0], lines.join(","), Text::Null)?;
        self.members = running;
        self.check()
    }

    /// The leader leaves with others, and their processes end.
    fn leave(&mut self, count: usize) -> Result<(), String> {
        let leader = self.ensemble.settle_among(&self.members)?;
        let others = self.members.iter().copied().filter(|id| *id != leader).take(count - 1);
        let leaving: Vec<_> = [leader].into_iter().chain(others).collect();
        self.members.retain(|id| !leaving.contains(id));
        let ids: Vec<_> = leaving.iter().map(u8::to_string).collect();
        self.reconfigure(self.members[0], Text::Null, ids.join(","))?;
        self.ensemble.settle_among(&self.members)?;
        // Clients that are still there go elsewhere.
        for id in leaving {
            self.ensemble.terminate(id)?;
        }
        self.check()
    }

    /// Asks again when the new members were not in sync yet. An answer that is lost with the leader is one, too: what
    /// becomes of it is looked at by whoever asks.
    fn reconfigure(&self, through: u8, joining: impl Into<Text>, leaving: impl Into<Text>) -> Result<(), String> {
        let request = reconfig(joining, leaving, Text::Null, ANY);
        let end = std::time::Instant::now() + rookeeper_compat_tests::server::PATIENCE;
        loop {
            let mut control = ControlClient::connect(self.ensemble.address(through))?;
            match control.call(&request) {
                Ok((error, _)) if error == ErrorCode::NewConfigNoQuorum.number() => {}
                Ok((0, _)) | Err(_) => return Ok(()),
                Ok((error, _)) => return Err(format!("{} is answered with {error}", request.label)),
            }
            if std::time::Instant::now() > end {
                return Err(format!("{} never has a quorum", request.label));
            }
            std::thread::sleep(rookeeper_compat_tests::server::POLL);
        }
    }

    /// All members serve under one leader and have all that was acknowledged; each has the list of them in its file.
    fn check(&mut self) -> Result<(), String> {
        self.ensemble.settle_among(&self.members)?;
        self.load.progress(STEPS)?;
        let _rest = self.load.at_rest();
        for id in &self.members {
            self.load.check(self.ensemble.address(*id))?;
        }
        self.ensemble.compare_after_load(&self.members)?;
        let lines: Vec<_> = self.members.iter().map(|id| self.ensemble.named(&self.ensemble.line(*id))).collect();
        for id in &self.members {
            let mut lists: Vec<_> = self.ensemble.files(*id)?.into_iter().collect();
            lists.retain(|(name, _)| name.starts_with("zoo.cfg.dynamic."));
            // Versions of one length and epochs below ten: the last name is that of the last list.
            let last = lists.pop().map(|(_, text)| text).unwrap_or_default();
            let mut expected = lines.clone();
            expected.sort_unstable();
            if last.lines().ne(expected.iter().map(String::as_str)) {
                return Err(format!("member {id} has the list {last:?} instead of {lines:?}"));
            }
        }
        Ok(())
    }

    /// All members end, and start from what they have written.
    fn restart(&mut self) -> Result<(), String> {
        for id in self.members.clone() {
            self.ensemble.terminate(id)?;
        }
        for id in self.members.clone() {
            self.ensemble.launch(id)?;
        }
        self.check()
    }
}

/// What becomes of an ensemble, and how.
type Step = (&'static str, fn(&mut Growth) -> Result<(), String>);

fn grow_and_shrink(kinds: [Kind; 5]) {
    let mut growth = Growth::start(&kinds).unwrap_or_else(|error| panic!("start: {error}"));
    let steps: [Step; 5] = [
        ("to three", |growth| growth.join(&[2, 3])),
        ("to five", |growth| growth.join(&[4, 5])),
        ("to three again", |growth| growth.leave(2)),
        ("restart", Growth::restart),
        ("to one", |growth| growth.leave(2)),
    ];
    for (name, step) in steps {
        eprintln!("{kinds:?}: {name}");
        step(&mut growth).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    growth.load.end().unwrap_or_else(|error| panic!("the load: {error}"));
}

#[test]
fn one_grows_to_five_and_back() {
    grow_and_shrink([subject_kind(); 5]);
}

/// Java leads what ours join.
#[test]
fn java_is_joined() {
    let ours = subject_kind();
    grow_and_shrink([Kind::Java, ours, ours, Kind::Java, ours]);
}

/// Ours leads what Java's join.
#[test]
fn java_joins() {
    let ours = subject_kind();
    grow_and_shrink([ours, Kind::Java, Kind::Java, ours, Kind::Java]);
}
