//! The handshake: a new session, or one that comes back (`ZooKeeperServer#processConnectRequest`).

use std::sync::atomic::Ordering;

use rookeeper_core::client::{Refusal, refusal};
use rookeeper_core::peer::Input;
use rookeeper_core::session::{LocalSessions, password_matches};
use rookeeper_protocol::client::{ConnectRequest, Frame};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::SessionId;

use super::handle::ConnectionHandle;
use super::throttle::{Handshake, Throttle};
use crate::runtime::{Machine, Shared};

/// The connection is to be closed without a word.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused;

/// Serves a connection's first frame.
pub(super) fn connect(
    shared: &Shared,
    handle: &ConnectionHandle,
    throttle: &Throttle,
    frame: &Frame,
) -> Result<(), Refused> {
    let mut reader = Reader::with_limit(frame, shared.connection_rules.inner_length_max);
    let request = ConnectRequest::read(&mut reader).map_err(|error| {
        tracing::warn!("closing {}: its first frame is no connect request: {error}", handle.remote);
        Refused
    })?;
    let now = shared.clock.now();
    let limits = &shared.config.ensemble.limits;
    let kind = match request.session_id == SessionId::NONE {
        // A server alone knows no local sessions, whatever zoo.cfg says (`SessionTrackerImpl`).
        true if shared.is_member() && limits.local_sessions != LocalSessions::Disabled => Handshake::NewLocal,
        true => Handshake::New,
        false => Handshake::Renew,
    };
    let admitted = throttle.admits(kind, now.monotonic_ms);
    shared.stats.throttle_asked(admitted.then(|| throttle.deficit()), throttle.drop_chance());
    if !admitted {
        shared.stats.connections_rejected.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("refusing {}: the limit on new sessions is reached (connection_throttle_tokens)", handle.remote);
        return Err(Refused);
    }
    shared.stats.connection_requests.fetch_add(1, Ordering::Relaxed);
    let mut machine = shared.machine.lock();
    if !machine.is_serving() {
        return Err(Refused);
    }
    let (read_only, last_zxid) = (machine.is_read_only(), shared.tree.read().last_zxid());
    if let Some(refusal) = refusal(&request, read_only, last_zxid) {
        match refusal {
            Refusal::ReadOnly => {
                tracing::info!("refusing {}: this server is read-only, which its client cannot do with", handle.remote);
            }
            Refusal::Behind => tracing::info!(
                "refusing {}: it has seen zxid {}, the last one here is {last_zxid}; it must try another server",
                handle.remote,
                request.last_zxid_seen
            ),
        }
        return Err(Refused);
    }
    if read_only {
        handle.state.lock().machine.serve_read_only();
    }
    let timeout_ms = machine.pipeline().rules().clamp_timeout(request.timeout_ms);
    handle.timeout_ms.store(timeout_ms, Ordering::Relaxed);
    handle.heard_ms.store(now.monotonic_ms, Ordering::Relaxed);
    if kind != Handshake::Renew {
        let session = machine.begin_session(now, timeout_ms, handle.id);
        let request = {
            let mut state = handle.state.lock();
            state.machine.establish(session, timeout_ms, request.read_only);
            state.machine.create_session_request(now.monotonic_ms)
        };
        drop(machine);
        shared.submit(&mut vec![request]);
        return Ok(());
    }

    shared.stats.connection_revalidations.fetch_add(1, Ordering::Relaxed);
    let session = request.session_id;
    // Whoever names the session takes it from the connection it was on, even with a wrong password.
    let pipeline = machine.pipeline_mut();
    if let Some(other) = pipeline.session(session).and_then(|session| session.conn)
        && other != handle.id
        && let Some(other) = shared.connections.get(other)
    {
        other.state.lock().machine.end();
        other.notify.notify_one();
        pipeline.attach(session, None);
    }
    let known = password_matches(session, request.password);
    let mut state = handle.state.lock();
    state.machine.establish(session, timeout_ms, request.read_only);
    if known && let Machine::Member(_) = &*machine {
        // Whether the session still exists is the leader's to say.
        shared.inbox.tell(Input::RenewSession { conn: handle.id, session, timeout_ms });
        return Ok(());
    }
    let sessions = &mut machine.pipeline_mut().sessions;
    let valid = known && sessions.touch(session, timeout_ms, now.monotonic_ms);
    if valid {
        sessions.attach(session, Some(handle.id));
    } else {
        tracing::info!("invalid session {session} of {}, probably expired", handle.remote);
    }
    state.machine.resumed(valid);
    Ok(())
}
