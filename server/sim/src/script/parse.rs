//! From the text of a scenario to its commands. SCENARIOS.md has the language.

use std::fmt;

use bytes::Bytes;
use rookeeper_core::session::LocalSessions;
use rookeeper_protocol::peer::PacketType;
use rookeeper_protocol::types::{CreateMode, Perms, Zxid};

use crate::client::{Access, Op};
use crate::clock::Micros;
use crate::cluster::{WriteKind, member_line};
use crate::member::Settings;
use crate::network::{HeldKind, Hold};
use crate::plan::Luck;

/// A scenario.
#[derive(Debug, Clone)]
pub(crate) struct Script {
    /// The tickets that it is about, as `ZK-3911`.
    pub(crate) tickets: Vec<String>,
    /// What went wrong, in a few sentences.
    pub(crate) story: String,
    /// Planted mistakes that make it fail.
    pub(crate) catches: Vec<String>,
    pub(crate) roles: Vec<(i64, bool)>,
    pub(crate) settings: Settings,
    pub(crate) steps: Vec<Step>,
}

/// A command and its line.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) command: Command,
}

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) enum Command {
    Start(Vec<i64>),
    Crash(Vec<i64>, Luck),
    Kill(Vec<i64>),
    Stop(Vec<i64>),
    Wipe(i64),
    Pause(i64),
    Resume(i64),
    FailFlush(i64),
    FailWrite(i64),
    FillDisk(i64, u64),
    CureDisk(i64),
    JumpClock(i64, i64),
    /// This server takes all that has come at once.
    Gather(i64),
    /// A server begins its pictures now, up to this znode, and ends them when they are sent.
    BeginPictures(i64, String),
    Cut(Vec<(i64, i64)>),
    Isolate(i64),
    Heal,
    /// What has arrived so far counts no more.
    Forget,
    Break(i64, i64),
    Hold(Vec<Hold>),
    Release(Vec<Hold>),
    ReleaseAll,
    HoldDisk(i64, Option<WriteKind>),
    Flush(i64),
    ReleaseDisk(i64),
    Run(Micros),
    Until(Condition, Micros),
    Expect(Condition),
    Client(String, ClientCommand),
    /// Everything works again; the ensemble comes back, and all are equal.
    EndWell,
}

/// What a client is to do.
#[derive(Debug, Clone)]
pub(crate) enum ClientCommand {
    /// To a server, with this timeout; a server that only shows its tree will do.
    Connect(i64, i32, bool),
    Ask(Op),
    /// Asks, and waits for the answer.
    Do(Op, Wanted),
    /// Creates a znode and so many below it, a few in each transaction.
    Fill(u32, String),
    HangUp,
}

/// What an answer should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Fine,
    Error(i32),
    Data(Bytes),
}

/// Something that is the case or not.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Not(Box<Condition>),
    Leader(Option<i64>),
    Serves(i64),
    /// Shows its tree to those who can do with that.
    Shows(i64),
    /// The permissions that everybody has.
    Grants(i64, String, i32),
    Down(i64),
    Is(i64, &'static str),
    Accepted(i64, u32),
    Current(i64, u32),
    Has(i64, String, Option<Bytes>),
    Logged(i64, Zxid),
    Flushed(i64, Zxid),
    Committed(i64, Zxid),
    Applied(i64, Zxid),
    OnTheWay(PacketType, i64, i64),
    Got(i64, PacketType, Option<Zxid>, Option<i64>),
    DiskWaits(i64, Option<WriteKind>),
    /// Whether a server votes, or is in the list at all, as this one knows the list; without one, the leader.
    Votes {
        member: i64,
        votes: bool,
        at: Option<i64>,
    },
    Equal,
    Connected(String),
    Lost(String),
    Answered(String),
    Event(String, i32, String),
}

/// A line that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}: {text}")]
pub(crate) struct ScriptError {
    pub(crate) line: usize,
    pub(crate) problem: String,
    pub(crate) text: String,
}

type Parsed<T> = Result<T, String>;

/// How long an `until` waits where it does not say.
const PATIENCE_US: Micros = 60_000_000;

/// Reads a whole scenario.
pub(crate) fn parse(text: &str) -> Result<Script, ScriptError> {
    let settings = Settings { tick_ms: 1000, ..Settings::default() };
    let mut script = Script {
        tickets: Vec::new(),
        story: String::new(),
        catches: Vec::new(),
        roles: vec![(1, true), (2, true), (3, true)],
        settings,
        steps: Vec::new(),
    };
    for (index, raw) in text.lines().enumerate() {
        let line = raw.split('#').next().unwrap_or_default().trim();
        if !line.is_empty() {
            parse_line(&mut script, index + 1, line).map_err(|problem| ScriptError {
                line: index + 1,
                problem,
                text: raw.to_owned(),
            })?;
        }
    }
    if script.tickets.is_empty() || script.story.is_empty() {
        let problem = "a scenario has a ticket and a story".to_owned();
        return Err(ScriptError { line: 1, problem, text: String::new() });
    }
    Ok(script)
}

fn parse_line(script: &mut Script, number: usize, line: &str) -> Parsed<()> {
    if let Some((key, value)) = line.split_once(": ") {
        let value = value.trim();
        match key {
            "ticket" => script.tickets.extend(value.split_whitespace().map(str::to_owned)),
            "story" => {
                script.story.push_str(value);
                script.story.push(' ');
            }
            "catches" => script.catches.extend(value.split_whitespace().map(str::to_owned)),
            "servers" => script.roles = roles(value)?,
            "setting" => value.split_whitespace().try_for_each(|setting| set(&mut script.settings, setting))?,
            _ => return Err(format!("{key:?} is no heading")),
        }
        return Ok(());
    }
    let mut words = Words { rest: line };
    let command = command(&mut words)?;
    words.end()?;
    script.steps.push(Step { line: number, text: line.to_owned(), command });
    Ok(())
}

/// `3`, or `3 voters 1 observer`.
fn roles(text: &str) -> Parsed<Vec<(i64, bool)>> {
    let numbers: Vec<i64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let (voters, observers) = (numbers.first().copied().ok_or("how many?")?, numbers.get(1).copied().unwrap_or(0));
    Ok((1..=voters + observers).map(|id| (id, id <= voters)).collect())
}

fn set(settings: &mut Settings, text: &str) -> Parsed<()> {
    let (key, value) = text.split_once('=').ok_or("a setting is KEY=VALUE")?;
    let number = || value.parse::<i64>().map_err(|_| format!("{value:?} is no number"));
    match key {
        "tickTime" => settings.tick_ms = number()?,
        "initLimit" => settings.init_limit = number()?,
        "syncLimit" => settings.sync_limit = number()?,
        "commitLogCount" => settings.commit_log_count = number()? as usize,
        "segmentBytes" => settings.segment_bytes = number()? as u64,
        "forceSnapshotSync" => settings.force_snapshot = value == "yes",
        "snapshotSizeFactor" => {
            let factor: f64 = value.parse().map_err(|_| format!("{value:?} is no number"))?;
            settings.snapshot_size_permille = (factor >= 0.0).then_some((factor * 1000.0) as u32);
        }
        "observerMasters" => settings.observer_masters = value == "yes",
        "syncEnabled" => settings.observer_sync = value == "yes",
        "localSessions" => {
            settings.local_sessions = match value {
                "yes" => LocalSessions::Enabled,
                "upgradable" => LocalSessions::Upgradable,
                _ => LocalSessions::Disabled,
            };
        }
        "readOnlyMode" => settings.read_only_mode = value == "yes",
        "firstCounter" => settings.first_counter = number()? as u32,
        _ => return Err(format!("{key:?} is no setting")),
    }
    Ok(())
}

/// What is left of a line.
pub(super) struct Words<'a> {
    rest: &'a str,
}

impl<'a> Words<'a> {
    pub(super) fn next(&mut self) -> Parsed<&'a str> {
        let rest = self.rest.trim_start();
        let (word, rest) = rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len()));
        self.rest = rest;
        if word.is_empty() { Err("the line is too short".to_owned()) } else { Ok(word) }
    }

    pub(super) fn peek(&self) -> &'a str {
        self.rest.split_whitespace().next().unwrap_or_default()
    }

    /// Takes a word if it is this one.
    pub(super) fn take(&mut self, word: &str) -> bool {
        let is_it = self.peek() == word;
        if is_it {
            self.rest = self.rest.trim_start().strip_prefix(word).unwrap_or_default();
        }
        is_it
    }

    pub(super) fn need(&mut self, word: &str) -> Parsed<()> {
        if self.take(word) { Ok(()) } else { Err(format!("{word:?} is missing before {:?}", self.rest.trim())) }
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Parsed<T> {
        let word = self.next()?;
        word.parse().map_err(|_| format!("{word:?} is no number"))
    }

    fn numbers(&mut self) -> Parsed<Vec<i64>> {
        let mut numbers = vec![self.number()?];
        while self.peek().parse::<i64>().is_ok() {
            numbers.push(self.number()?);
        }
        Ok(numbers)
    }

    /// Everything in front of an arrow.
    fn until_arrow(&mut self) -> &'a str {
        let (taken, rest) = self.rest.split_at(self.rest.find("->").unwrap_or(self.rest.len()));
        self.rest = rest;
        taken.trim()
    }

    fn end(&self) -> Parsed<()> {
        let rest = self.rest.trim();
        if rest.is_empty() { Ok(()) } else { Err(format!("{rest:?} is too much")) }
    }

    /// `1 -> 2` or `1 <-> 2`.
    fn ways(&mut self) -> Parsed<Vec<(i64, i64)>> {
        let (from, arrow, to) = (self.number()?, self.next()?, self.number()?);
        match arrow {
            "->" => Ok(vec![(from, to)]),
            "<->" => Ok(vec![(from, to), (to, from)]),
            _ => Err(format!("{arrow:?} is no arrow")),
        }
    }

    fn duration(&mut self) -> Parsed<Micros> {
        let (count, unit): (Micros, _) = (self.number()?, self.next()?);
        match unit {
            "ms" => Ok(count * 1000),
            "s" => Ok(count * 1_000_000),
            _ => Err(format!("{unit:?} is no unit of time")),
        }
    }

    /// `1.5`: the fifth of the first epoch.
    pub(super) fn zxid(&mut self) -> Parsed<Zxid> {
        let word = self.next()?;
        let parts =
            word.split_once('.').and_then(|(epoch, counter)| Some((epoch.parse().ok()?, counter.parse().ok()?)));
        let (epoch, counter) = parts.ok_or(format!("{word:?} is no EPOCH.COUNTER"))?;
        Ok(Zxid::new(epoch, counter))
    }

    pub(super) fn write_kind(&mut self) -> Parsed<WriteKind> {
        Ok(match self.next()? {
            "APPEND" => WriteKind::Append,
            "EPOCHS" => WriteKind::Epochs,
            "TRUNCATE" => WriteKind::Truncate,
            "RECEIVE" => WriteKind::Receive,
            "INSTALL" => WriteKind::Install,
            "DROP" => WriteKind::Drop,
            "MEMBERS" => WriteKind::Members,
            word => return Err(format!("{word:?} is no write")),
        })
    }
}

pub(super) fn packet_type(word: &str) -> Option<PacketType> {
    PacketType::ALL.iter().copied().find(|kind| kind.name() == word)
}

fn command(words: &mut Words<'_>) -> Parsed<Command> {
    Ok(match words.next()? {
        "start" => Command::Start(words.numbers()?),
        "crash" => Command::Crash(words.numbers()?, luck(words)?),
        "kill" => Command::Kill(words.numbers()?),
        "stop" => Command::Stop(words.numbers()?),
        "wipe" => Command::Wipe(words.number()?),
        "pause" => Command::Pause(words.number()?),
        "resume" => Command::Resume(words.number()?),
        "fail" => match words.next()? {
            "flush" => Command::FailFlush(words.number()?),
            "write" => Command::FailWrite(words.number()?),
            word => return Err(format!("{word:?} cannot fail")),
        },
        "fill" => {
            words.need("disk")?;
            let id = words.number()?;
            Command::FillDisk(id, if words.take("but") { words.number()? } else { 0 })
        }
        "cure" => {
            words.need("disk")?;
            Command::CureDisk(words.number()?)
        }
        "jump" => {
            words.need("clock")?;
            Command::JumpClock(words.number()?, words.duration()? / 1000)
        }
        "gather" => Command::Gather(words.number()?),
        "begin" => {
            words.need("pictures")?;
            let id = words.number()?;
            words.need("through")?;
            Command::BeginPictures(id, words.next()?.to_owned())
        }
        "cut" => Command::Cut(words.ways()?),
        "isolate" => Command::Isolate(words.number()?),
        "heal" => Command::Heal,
        "forget" => {
            words.need("packets")?;
            Command::Forget
        }
        "break" => {
            let ways = words.ways()?;
            let (one, other) = ways.first().copied().ok_or("between whom?")?;
            Command::Break(one, other)
        }
        "hold" if words.take("disk") => {
            let id = words.number()?;
            Command::HoldDisk(id, if words.take("before") { Some(words.write_kind()?) } else { None })
        }
        "hold" => Command::Hold(holds(words)?),
        "release" if words.take("disk") => Command::ReleaseDisk(words.number()?),
        "release" if words.take("everything") => Command::ReleaseAll,
        "release" => Command::Release(holds(words)?),
        "flush" => Command::Flush(words.number()?),
        "run" => Command::Run(words.duration()?),
        "until" => {
            let condition = super::condition::parse(words)?;
            Command::Until(condition, if words.take("within") { words.duration()? } else { PATIENCE_US })
        }
        "expect" => Command::Expect(super::condition::parse(words)?),
        "client" => {
            let name = words.next()?.to_owned();
            Command::Client(name, client_command(words)?)
        }
        "end" => {
            words.need("well")?;
            Command::EndWell
        }
        word => return Err(format!("{word:?} is no command")),
    })
}

fn luck(words: &mut Words<'_>) -> Parsed<Luck> {
    if words.take("keeping") {
        return Ok(Luck::Keep);
    }
    if words.take("tearing") {
        return Ok(Luck::Draw(words.number()?));
    }
    words.take("losing");
    Ok(Luck::Forget)
}

/// `PROPOSAL 1 -> 2`, `votes 1 <-> 2`, `packets 1 -> 2`, `everything 1 -> 2`.
fn holds(words: &mut Words<'_>) -> Parsed<Vec<Hold>> {
    let what = words.next()?;
    let (packet, kind) = match what {
        "everything" => (None, None),
        "votes" => (None, Some(HeldKind::Election)),
        "packets" => (None, Some(HeldKind::Learner)),
        "frames" => (None, Some(HeldKind::Client)),
        _ => (Some(packet_type(what).ok_or(format!("{what:?} is no packet"))?), None),
    };
    Ok(words.ways()?.into_iter().map(|(from, to)| Hold { from, to, packet, kind }).collect())
}

fn client_command(words: &mut Words<'_>) -> Parsed<ClientCommand> {
    Ok(match words.next()? {
        "connects" => {
            words.need("to")?;
            let server = words.number()?;
            let timeout_us = if words.take("timeout") { words.duration()? } else { 20_000_000 };
            ClientCommand::Connect(server, (timeout_us / 1000) as i32, words.take("reading"))
        }
        "asks" => ClientCommand::Ask(op(words)?),
        "does" => {
            let op = op(words)?;
            let wanted = match words.take("->") {
                false => Wanted::Fine,
                true if words.take("error") => Wanted::Error(words.number()?),
                true => Wanted::Data(Bytes::from(words.next()?.to_owned())),
            };
            ClientCommand::Do(op, wanted)
        }
        "makes" => {
            let count = words.number()?;
            words.need("znodes")?;
            words.need("below")?;
            ClientCommand::Fill(count, words.next()?.to_owned())
        }
        "hangs" => {
            words.need("up")?;
            ClientCommand::HangUp
        }
        word => return Err(format!("{word:?} is nothing that a client does")),
    })
}

fn op(words: &mut Words<'_>) -> Parsed<Op> {
    let path = |words: &mut Words<'_>| words.next().map(str::to_owned);
    Ok(match words.next()? {
        "create" => {
            let path = path(words)?;
            let data = data(words)?;
            let (ephemeral, sequential) = (words.take("ephemeral"), words.take("sequential"));
            let mode = match (ephemeral, sequential) {
                (false, false) => CreateMode::Persistent,
                (false, true) => CreateMode::PersistentSequential,
                (true, false) => CreateMode::Ephemeral,
                (true, true) => CreateMode::EphemeralSequential,
            };
            Op::Create { path, data, mode, access: Access::OPEN }
        }
        "set" => {
            let (path, data) = (path(words)?, data(words)?);
            Op::Set { path, data, version: version(words)? }
        }
        "acl" => {
            let path = path(words)?;
            words.need("=")?;
            Op::SetAcl { path, access: Access::World(perms(words)?) }
        }
        "delete" => Op::Delete { path: path(words)?, version: version(words)? },
        "check" => Op::Check { path: path(words)?, version: version(words)? },
        "get" => Op::Get { path: path(words)?, watch: words.take("watching") },
        "exists" => Op::Exists { path: path(words)?, watch: words.take("watching") },
        "children" => Op::Children { path: path(words)?, watch: words.take("watching") },
        "sync" => Op::Sync,
        "close" => Op::Close,
        "multi" => {
            let parts = words.until_arrow().split(';').map(|part| op(&mut Words { rest: part }));
            Op::Multi(parts.collect::<Parsed<Vec<Op>>>()?)
        }
        "reconfig" => match words.next()? {
            "remove" => Op::Reconfig { joining: None, leaving: Some(words.next()?.to_owned()) },
            "add" => {
                let id = words.number()?;
                let votes = !words.take("observer");
                Op::Reconfig { joining: Some(member_line(id, votes)), leaving: None }
            }
            word => return Err(format!("{word:?} is no reconfiguration")),
        },
        word => return Err(format!("{word:?} is no request")),
    })
}

fn data(words: &mut Words<'_>) -> Parsed<Bytes> {
    Ok(Bytes::from(if words.take("=") { words.next()?.to_owned() } else { "data".to_owned() }))
}

/// `rw`: some of the letters of `cdrwa`.
pub(super) fn perms(words: &mut Words<'_>) -> Parsed<i32> {
    let letters =
        [('r', Perms::READ), ('w', Perms::WRITE), ('c', Perms::CREATE), ('d', Perms::DELETE), ('a', Perms::ADMIN)];
    let bit = |letter: char| letters.iter().find(|(known, _)| *known == letter).map(|(_, bit)| *bit);
    let word = words.next()?;
    word.chars().try_fold(0, |perms, letter| Some(perms | bit(letter)?)).ok_or(format!("{word:?} are no permissions"))
}

fn version(words: &mut Words<'_>) -> Parsed<i32> {
    if words.take("version") { words.number() } else { Ok(-1) }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.text)
    }
}
