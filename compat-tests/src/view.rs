//! What comes back from a server, as text in which nothing is left that may differ from run to run.
//!
//! Sessions get names in the order in which they appear; zxids are counted from the last one before the script; a time
//! is replaced by `T` once it is the time of its transaction, the same wherever that transaction shows, and plausible.
//! Every other byte shows, so that two replies with the same text were the same bytes.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use rookeeper_protocol::client::PASSWORD_LEN;
use rookeeper_protocol::jute::{DecodeError, Reader, VectorLength};
use rookeeper_protocol::types::{OpCode, Stat};

/// Bytes of a hex dump that are shown; a report is for people.
const HEX_MAX: usize = 400;

/// Clocks are read in milliseconds, and the server's readings are rounded down.
const CLOCK_TOLERANCE_MS: i64 = 1000;

/// Bytes in hex.
pub fn hex(bytes: &[u8]) -> String {
    let mut text: String = bytes.iter().take(HEX_MAX).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > HEX_MAX {
        text.push_str(&format!("… ({} bytes)", bytes.len()));
    }
    text
}

/// The password of a session (`ZooKeeperServer#generatePasswd`: 16 bytes of `java.util.Random`).
pub fn password(session_id: i64) -> [u8; PASSWORD_LEN] {
    const MULTIPLIER: u64 = 0x5_DEEC_E66D;
    const MASK: u64 = (1 << 48) - 1;
    let mut state = (session_id as u64 ^ 0xB341_5C00 ^ MULTIPLIER) & MASK;
    let mut bytes = [0; PASSWORD_LEN];
    for chunk in bytes.chunks_mut(4) {
        state = state.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        chunk.copy_from_slice(&((state >> 16) as u32).to_le_bytes());
    }
    bytes
}

/// The wall clock in milliseconds.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The names that one server's values have got so far.
#[derive(Debug, Clone)]
pub struct View {
    base: i64,
    control: Option<i64>,
    sessions: Vec<i64>,
    times: BTreeMap<i64, i64>,
    started_ms: i64,
}

impl View {
    /// Begins with the last zxid before the script.
    pub fn new(base: i64) -> Self {
        Self { base, control: None, sessions: Vec::new(), times: BTreeMap::new(), started_ms: now_ms() }
    }

    /// The last zxid before the script.
    pub fn base(&self) -> i64 {
        self.base
    }

    /// Names the comparison's own session, which is none of the script's.
    pub fn set_control(&mut self, session: i64) {
        self.control = Some(session);
    }

    /// The comparison's own session.
    pub fn control(&self) -> Option<i64> {
        self.control
    }

    /// The sessions seen, in order.
    pub fn sessions(&self) -> &[i64] {
        &self.sessions
    }

    /// The name of a session.
    pub fn session(&self, id: i64) -> String {
        match self.sessions.iter().position(|known| *known == id) {
            Some(index) => format!("S{}", index + 1),
            None if id == 0 => "0".to_owned(),
            None => format!("0x{id:x}"),
        }
    }

    /// A zxid, counted from the script's start.
    pub fn zxid(&self, zxid: i64) -> String {
        if zxid == 0 || zxid == -1 {
            zxid.to_string()
        } else if zxid > self.base {
            format!("+{}", zxid - self.base)
        } else if zxid == self.base {
            "base".to_owned()
        } else {
            "old".to_owned()
        }
    }

    fn time(&mut self, zxid: i64, time_ms: i64) -> String {
        if time_ms == 0 {
            return "0".to_owned();
        }
        if zxid <= self.base {
            return "old".to_owned();
        }
        let known = *self.times.entry(zxid).or_insert(time_ms);
        if known != time_ms {
            return format!("{} ms off the time of its transaction", time_ms - known);
        }
        if time_ms < self.started_ms - CLOCK_TOLERANCE_MS || time_ms > now_ms() + CLOCK_TOLERANCE_MS {
            return format!("{} ms off the clock", time_ms - now_ms());
        }
        "T".to_owned()
    }

    fn stat(&mut self, reader: &mut Reader<'_>) -> Result<String, DecodeError> {
        let stat = Stat::read(reader)?;
        Ok(format!(
            "stat(cz={} mz={} ct={} mt={} v={} cv={} av={} eo={} dl={} nc={} pz={})",
            self.zxid(stat.czxid.0),
            self.zxid(stat.mzxid.0),
            self.time(stat.czxid.0, stat.ctime),
            self.time(stat.mzxid.0, stat.mtime),
            stat.version,
            stat.cversion,
            stat.aversion,
            self.session(stat.ephemeral_owner),
            stat.data_length,
            stat.num_children,
            self.zxid(stat.pzxid.0),
        ))
    }

    /// The answer to a connect request. A session not seen before gets its name here.
    pub fn connect_response(&mut self, bytes: &[u8]) -> String {
        let reader = &mut Reader::new(bytes);
        let mut fields = || -> Result<String, DecodeError> {
            let (version, timeout_ms, id) = (reader.int()?, reader.int()?, reader.long()?);
            let sent = reader.buffer()?;
            if id != 0 && !self.sessions.contains(&id) {
                self.sessions.push(id);
            }
            let right = id != 0 && sent == Some(&password(id)[..]);
            let shown = if right { "right".to_owned() } else { show(sent) };
            Ok(format!(
                "connected version={version} timeout={timeout_ms} session={} password={shown}",
                self.session(id)
            ))
        };
        match fields() {
            Ok(text) if reader.remaining() == 0 => text,
            Ok(text) => format!("{text} read_only={}", hex(reader.rest())),
            Err(_) => format!("no connect response: {}", hex(bytes)),
        }
    }

    /// A watch event.
    pub fn event(&mut self, bytes: &[u8]) -> String {
        let reader = &mut Reader::new(bytes);
        let mut fields = || -> Result<String, DecodeError> {
            let (_, zxid, error) = (reader.int()?, reader.long()?, reader.int()?);
            let (kind, state) = (reader.int()?, reader.int()?);
            let path = show(reader.buffer()?);
            Ok(format!("event type={kind} state={state} path={path} zxid={} err={error}", self.zxid(zxid)))
        };
        finish(fields(), reader, bytes)
    }

    /// The reply to a request of this operation.
    pub fn reply(&mut self, op: i32, bytes: &[u8]) -> String {
        let reader = &mut Reader::new(bytes);
        let mut fields = || -> Result<String, DecodeError> {
            let (xid, zxid, error) = (reader.int()?, reader.long()?, reader.int()?);
            let head = format!("reply xid={xid} zxid={} err={error}", self.zxid(zxid));
            if reader.remaining() == 0 { Ok(head) } else { Ok(format!("{head} {}", self.body(op, reader)?)) }
        };
        finish(fields(), reader, bytes)
    }

    /// The body of a successful reply. An unknown operation's is left to be shown in hex.
    fn body(&mut self, op: i32, reader: &mut Reader<'_>) -> Result<String, DecodeError> {
        let Some(op) = OpCode::from_number(op) else { return Ok(String::new()) };
        Ok(match op {
            OpCode::Create => show(reader.buffer()?),
            OpCode::Create2 | OpCode::CreateContainer | OpCode::CreateTtl => {
                format!("{} {}", show(reader.buffer()?), self.stat(reader)?)
            }
            OpCode::Exists | OpCode::SetData | OpCode::SetAcl => self.stat(reader)?,
            OpCode::GetData | OpCode::Reconfig => format!("{} {}", show(reader.buffer()?), self.stat(reader)?),
            OpCode::GetAcl => format!("{} {}", acls(reader)?, self.stat(reader)?),
            OpCode::GetChildren | OpCode::GetEphemerals => names(reader)?,
            OpCode::GetChildren2 => format!("{} {}", names(reader)?, self.stat(reader)?),
            OpCode::Sync | OpCode::Sasl => show(reader.buffer()?),
            OpCode::GetAllChildrenNumber | OpCode::AddWatch => reader.int()?.to_string(),
            OpCode::WhoAmI => who(reader)?,
            OpCode::Multi | OpCode::MultiRead => self.multi(reader)?,
            _ => String::new(),
        })
    }

    fn multi(&mut self, reader: &mut Reader<'_>) -> Result<String, DecodeError> {
        let mut results = Vec::new();
        loop {
            let (kind, done, error) = (reader.int()?, reader.boolean()?, reader.int()?);
            if done {
                results.push(format!("end {kind} {error}"));
                return Ok(format!("[{}]", results.join("; ")));
            }
            let record = match (kind, OpCode::from_number(kind)) {
                (-1, _) => format!("error {}", reader.int()?),
                (_, Some(OpCode::Delete | OpCode::Check)) => String::new(),
                _ => self.body(kind, reader)?,
            };
            results.push(format!("{kind} {error} {record}"));
        }
    }
}

fn finish(text: Result<String, DecodeError>, reader: &Reader<'_>, bytes: &[u8]) -> String {
    match text {
        Ok(text) if reader.remaining() == 0 => text,
        Ok(text) => format!("{text} and then {}", hex(reader.rest())),
        Err(error) => format!("cannot be read ({error}): {}", hex(bytes)),
    }
}

/// A string or buffer with its bytes.
pub fn show(bytes: Option<&[u8]>) -> String {
    match bytes {
        None => "null".to_owned(),
        Some(bytes) if bytes.len() > HEX_MAX => {
            let sum = bytes.iter().fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(*byte)));
            format!("{} bytes with sum {sum:x}", bytes.len())
        }
        Some(bytes) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

fn elements<T>(
    reader: &mut Reader<'_>,
    mut element: impl FnMut(&mut Reader<'_>) -> Result<T, DecodeError>,
) -> Result<Option<Vec<T>>, DecodeError> {
    match reader.vector()? {
        VectorLength::Null => Ok(None),
        VectorLength::Elements(count) => (0..count).map(|_| element(reader)).collect::<Result<_, _>>().map(Some),
    }
}

fn list(elements: Option<Vec<String>>) -> String {
    elements.map_or("null".to_owned(), |elements| format!("[{}]", elements.join(", ")))
}

/// Names of children and of ephemeral znodes come in no particular order.
fn names(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let mut names = elements(reader, |reader| Ok(show(reader.buffer()?)))?;
    names.iter_mut().for_each(|names| names.sort());
    Ok(list(names))
}

fn acls(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let entry = |reader: &mut Reader<'_>| -> Result<String, DecodeError> {
        Ok(format!("{} {}:{}", reader.int()?, show(reader.buffer()?), show(reader.buffer()?)))
    };
    elements(reader, entry).map(list)
}

fn who(reader: &mut Reader<'_>) -> Result<String, DecodeError> {
    let entry = |reader: &mut Reader<'_>| -> Result<String, DecodeError> {
        Ok(format!("{}:{}", show(reader.buffer()?), show(reader.buffer()?)))
    };
    // The identities of a connection are a set.
    let mut ids = elements(reader, entry)?;
    ids.iter_mut().for_each(|ids| ids.sort());
    Ok(list(ids))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_view_hides_only_what_may_differ() {
        let mut view = View::new(100);
        let now = now_ms();
        let stat = |time: i64| {
            let mut bytes = vec![0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 105, 0, 0, 0, 0];
            for long in [101, 102, now, time] {
                bytes.extend_from_slice(&i64::to_be_bytes(long));
            }
            bytes.extend_from_slice(&[0; 36]);
            bytes
        };
        let good = view.reply(OpCode::Exists.number(), &stat(now + 5));
        assert_eq!(good, "reply xid=7 zxid=+5 err=0 stat(cz=+1 mz=+2 ct=T mt=T v=0 cv=0 av=0 eo=0 dl=0 nc=0 pz=0)");
        assert!(view.reply(OpCode::Exists.number(), &stat(now + 6)).contains("1 ms off the time of its transaction"));
        assert!(View::new(100).reply(OpCode::Exists.number(), &stat(now + 60_000)).contains("ms off the clock"));
    }

    #[test]
    fn a_session_password_is_javas() {
        // new java.util.Random(0x0100_0000_0000_0001L ^ 0xB3415C00L).nextBytes(new byte[16])
        assert_eq!(hex(&password(0x0100_0000_0000_0001)), "054cc74a37327db215e702e20c73f005");
    }
}
