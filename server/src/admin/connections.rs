//! The connections: `cons`, `stat`, `crst` (`ServerCnxn#dumpConnectionInfo`).

use std::fmt::Write;
use std::iter;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::Arc;

use rookeeper_core::client::ConnectionStats;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::types::SessionId;

use super::four_letter::{PIECE_ENTRIES, Pieces};
use super::{java_text, server};
use crate::client::ConnectionHandle;
use crate::runtime::Shared;

/// `cons`: every connection with all that is known of it, and an empty line.
pub(super) fn full(shared: &Arc<Shared>, asker: ConnId) -> Pieces {
    let lines = walk(shared).map(move |connections| lines(&connections, asker, false));
    Box::new(lines.chain(iter::once("\n".to_owned())))
}

/// `stat`: the server, and its connections in brief.
pub(super) fn brief(shared: &Arc<Shared>, asker: ConnId) -> Pieces {
    let heading = server::heading(shared) + "Clients:\n";
    let lines = walk(shared).map(move |connections| lines(&connections, asker, true));
    let shared = shared.clone();
    let rest = iter::once_with(move || format!("\n{}", server::numbers(&shared)));
    Box::new(iter::once(heading).chain(lines).chain(rest))
}

/// `crst`: every connection begins to count anew.
pub(super) fn reset(shared: &Arc<Shared>) -> Pieces {
    let resets = walk(shared).map(|connections| {
        connections.iter().for_each(|handle| handle.state.lock().machine.reset_stats());
        String::new()
    });
    Box::new(resets.chain(iter::once("Connection stats reset.\n".to_owned())))
}

/// All connections, some at a time.
pub(super) fn walk(shared: &Arc<Shared>) -> impl Iterator<Item = Vec<Arc<ConnectionHandle>>> + Send + use<> {
    let shared = shared.clone();
    let mut after = None;
    iter::from_fn(move || {
        let behind = (after.map_or(Unbounded, Excluded), Unbounded);
        let found: Vec<_> =
            shared.connections.read().range(behind).take(PIECE_ENTRIES).map(|(_, handle)| handle.clone()).collect();
        after = Some(found.last()?.id);
        Some(found)
    })
}

fn lines(connections: &[Arc<ConnectionHandle>], asker: ConnId, brief: bool) -> String {
    let mut text = String::new();
    for handle in connections {
        let line = {
            let state = handle.state.lock();
            let machine = &state.machine;
            Line {
                // Java takes its eyes off a connection that asked for a word.
                interest: if handle.id == asker { 0 } else { state.interest() },
                queued: machine.outstanding(),
                session: Some(machine.session()).filter(|session| *session != SessionId::NONE && !brief),
                timeout_ms: machine.timeout_ms(),
                established_ms: handle.established_ms,
                stats: machine.stats().clone(),
            }
        };
        let _ = writeln!(text, " {}{line}", java_text::socket(handle.remote));
    }
    text
}

/// What a line tells of a connection behind its address.
struct Line {
    interest: u8,
    queued: usize,
    session: Option<SessionId>,
    timeout_ms: i32,
    established_ms: i64,
    stats: ConnectionStats,
}

impl std::fmt::Display for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let stats = &self.stats;
        let (interest, queued) = (self.interest, self.queued);
        write!(f, "[{interest:x}](queued={queued},recved={},sent={}", stats.received, stats.sent)?;
        if let Some(session) = self.session {
            let (established_ms, timeout_ms) = (self.established_ms, self.timeout_ms);
            write!(f, ",sid={:#x},lop={},est={established_ms},to={timeout_ms}", session.0, stats.last_op)?;
            if stats.last_cxid >= 0 {
                write!(f, ",lcxid={:#x}", stats.last_cxid)?;
            }
            let mean_ms = stats.total_latency_ms.checked_div(stats.count).unwrap_or(0);
            let min_ms = if stats.min_latency_ms == i64::MAX { 0 } else { stats.min_latency_ms };
            write!(f, ",lzxid={:#x},lresp={}", stats.last_zxid, stats.last_response_ms)?;
            write!(f, ",llat={},minlat={min_ms},avglat={mean_ms}", stats.last_latency_ms)?;
            write!(f, ",maxlat={}", stats.max_latency_ms)?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line() -> Line {
        Line {
            interest: 1,
            queued: 0,
            session: Some(SessionId(0x0100_004e_92e6_0000)),
            timeout_ms: 30_000,
            established_ms: 1_795_245_380_515,
            stats: ConnectionStats::default(),
        }
    }

    #[test]
    fn a_fresh_session_has_no_cxid() {
        let expected = "[1](queued=0,recved=0,sent=0,sid=0x100004e92e60000,lop=NA,est=1795245380515,to=30000,\
                        lzxid=0xffffffffffffffff,lresp=0,llat=0,minlat=0,avglat=0,maxlat=0)";
        assert_eq!(line().to_string(), expected);
        let waiting = Line { session: None, interest: 0, queued: 2, ..line() };
        assert_eq!(waiting.to_string(), "[0](queued=2,recved=0,sent=0)");
    }

    #[test]
    fn a_session_tells_all_it_knows() {
        let stats = ConnectionStats {
            received: 11,
            sent: 12,
            last_cxid: 11,
            last_zxid: 10,
            last_op: "EXIS",
            last_response_ms: 5_187_193,
            last_latency_ms: 4,
            count: 3,
            total_latency_ms: 20,
            min_latency_ms: 1,
            max_latency_ms: 15,
        };
        let expected = "[5](queued=0,recved=11,sent=12,sid=0x100004e92e60000,lop=EXIS,est=1795245380515,to=30000,\
                        lcxid=0xb,lzxid=0xa,lresp=5187193,llat=4,minlat=1,avglat=6,maxlat=15)";
        assert_eq!(Line { interest: 5, stats, ..line() }.to_string(), expected);
    }
}
