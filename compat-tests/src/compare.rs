//! Plays a script on Apache ZooKeeper and on the server under test, and reports where they differ.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

use crate::player::{Entry, Transcript, play};
use crate::script::Script;
use crate::server::{Config, Kind, Server};
use crate::view::hex;

/// Steps before the first difference that a report shows.
const CONTEXT_STEPS: usize = 12;

/// Lines that a report shows of each of them.
const CONTEXT_ENTRIES: usize = 4;

/// Differing steps that a report shows; the later ones mostly follow from the first.
const REPORTED_STEPS: usize = 12;

/// Differing lines of a step that a report shows.
const REPORTED_ENTRIES: usize = 12;

/// Apache ZooKeeper, and the server that is held against it.
#[derive(Debug)]
pub struct Pair {
    reference: Server,
    subject: Server,
}

/// The server under test: Rookeeper, unless `COMPAT_SUBJECT=java`.
pub fn subject_kind() -> Kind {
    match std::env::var("COMPAT_SUBJECT").as_deref() {
        Ok("java") => Kind::Java,
        _ => Kind::Ours,
    }
}

impl Pair {
    /// Starts both with the same configuration and no data.
    pub fn start(config: &Config) -> Result<Self, String> {
        std::thread::scope(|scope| {
            let reference = scope.spawn(|| Server::start(Kind::Java, config));
            let subject = Server::start(subject_kind(), config);
            let reference = reference.join().map_err(|_| "the start of Apache ZooKeeper panicked".to_owned())?;
            Ok(Self { reference: reference?, subject: subject? })
        })
    }

    /// Both servers: Apache ZooKeeper first.
    pub fn servers(&mut self) -> [&mut Server; 2] {
        [&mut self.reference, &mut self.subject]
    }

    /// Plays the script on both, at the same time.
    pub fn play(&mut self, script: &Script) -> Result<[Transcript; 2], String> {
        let Self { reference, subject } = self;
        std::thread::scope(|scope| {
            let reference = scope.spawn(|| play(reference, script));
            let subject = play(subject, script);
            let reference = reference.join().map_err(|_| "playing on Apache ZooKeeper panicked".to_owned())?;
            Ok([reference?, subject?])
        })
    }

    /// Plays the script on both; the error is a report of what differs.
    pub fn compare(&mut self, script: &Script) -> Result<(), String> {
        let [reference, subject] = self.play(script)?;
        keep(script, &reference, &subject);
        match report(script, &reference, &subject) {
            None => Ok(()),
            Some(report) => Err(report),
        }
    }

    fn is_running(&mut self) -> bool {
        self.servers().into_iter().all(|server| server.is_running())
    }
}

/// A pair that the tests of one file share, one after the other. It is started by the first that needs it, and anew
/// after one has brought a server down.
#[derive(Debug)]
pub struct Shared {
    config: fn() -> Config,
    pair: Mutex<Result<Option<Pair>, String>>,
}

impl Shared {
    /// A pair to be started with this configuration.
    pub const fn new(config: fn() -> Config) -> Self {
        Self { config, pair: Mutex::new(Ok(None)) }
    }

    /// Does something with the pair. Panics, with what to do, when it cannot be started: a comparison that does not
    /// take place has failed.
    pub fn with<T>(&self, what: impl FnOnce(&mut Pair) -> T) -> T {
        let mut guard = self.pair.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(pair) = &mut *guard
            && !pair.as_mut().is_some_and(Pair::is_running)
        {
            *pair = None;
            // A failure stays: the other tests of the file need not wait for it once more.
            *guard = Pair::start(&(self.config)()).map(Some);
        }
        match &mut *guard {
            Ok(Some(pair)) => what(pair),
            Ok(None) => unreachable!("the pair was started above"),
            Err(error) => panic!("nothing can be compared: {error}"),
        }
    }

    /// Plays the script on both, and panics with a report when they differ.
    pub fn compare(&self, script: &Script) {
        if let Err(report) = self.with(|pair| pair.compare(script)) {
            panic!("{report}");
        }
    }
}

/// The first step where the transcripts differ.
pub fn first_difference(reference: &Transcript, subject: &Transcript) -> Option<usize> {
    let texts = |entries: &Vec<Entry>| entries.iter().map(|entry| entry.text.clone()).collect::<Vec<_>>();
    reference.iter().zip(subject).position(|(reference, subject)| texts(reference) != texts(subject))
}

/// What differs, readable; `None` when nothing does.
pub fn report(script: &Script, reference: &Transcript, subject: &Transcript) -> Option<String> {
    let first = first_difference(reference, subject)?;
    let mut text = format!("`{}`: the servers differ at step {first} of {}\n", script.name, script.steps.len());
    let context = script.steps.iter().zip(reference).enumerate().take(first);
    for (index, (step, entries)) in context.skip(first.saturating_sub(CONTEXT_STEPS)) {
        let _ = writeln!(text, "{index:4} {step}");
        for entry in entries.iter().take(CONTEXT_ENTRIES) {
            let _ = writeln!(text, "       {}", entry.text);
        }
    }
    let mut reported = 0;
    for index in first..reference.len() {
        let (reference, subject) = (&reference[index], &subject[index]);
        if reference.iter().map(|entry| &entry.text).eq(subject.iter().map(|entry| &entry.text)) {
            continue;
        }
        reported += 1;
        if reported > REPORTED_STEPS {
            let _ = writeln!(text, "… and more steps that differ");
            break;
        }
        let step = script.steps.get(index).map_or("the end, and the tree".to_owned(), ToString::to_string);
        let _ = writeln!(text, "{index:4} {step}");
        differing_entries(&mut text, reference, subject);
    }
    Some(text)
}

fn differing_entries(text: &mut String, reference: &[Entry], subject: &[Entry]) {
    let mut reported = 0;
    for index in 0..reference.len().max(subject.len()) {
        let (expected, found) = (reference.get(index), subject.get(index));
        if expected.map(|entry| &entry.text) == found.map(|entry| &entry.text) {
            if index < CONTEXT_ENTRIES {
                let _ = writeln!(text, "       {}", expected.map_or("", |entry| entry.text.as_str()));
            }
            continue;
        }
        reported += 1;
        if reported > REPORTED_ENTRIES {
            let _ = writeln!(text, "       … and more lines that differ");
            return;
        }
        for (who, entry) in [("java", expected), ("ours", found)] {
            let _ = match entry {
                None => writeln!(text, "  {who}: nothing"),
                Some(entry) => writeln!(text, "  {who}: {}\n        {}", entry.text, hex(&entry.bytes)),
            };
        }
    }
}

/// Writes both transcripts down if asked to, for people who look for what a server does.
fn keep(script: &Script, reference: &Transcript, subject: &Transcript) {
    let Some(folder) = std::env::var_os("COMPAT_TRANSCRIPTS") else { return };
    let folder = std::path::PathBuf::from(folder);
    // A folder that cannot be written to is told by what is missing in it; the comparison goes on.
    let _ = std::fs::create_dir_all(&folder);
    for (who, transcript) in [("reference", reference), ("subject", subject)] {
        let mut text = String::new();
        for (index, entries) in transcript.iter().enumerate() {
            let step = script.steps.get(index).map_or("the end, and the tree".to_owned(), ToString::to_string);
            let _ = writeln!(text, "{index:4} {step}");
            for entry in entries {
                let _ = writeln!(text, "       {}", entry.text);
            }
        }
        let _ = std::fs::write(folder.join(format!("{}.{who}.txt", script.name)), text);
    }
}
