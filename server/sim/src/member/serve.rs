//! What a process does for its clients.

use rookeeper_core::client::{Phase, ReadView, refusal};
use rookeeper_core::peer::Input;
use rookeeper_core::session::password_matches;
use rookeeper_core::watch::ConnId;
use rookeeper_protocol::client::{ConnectRequest, FrameDecoder};
use rookeeper_protocol::jute::Reader;
use rookeeper_protocol::types::SessionId;

use super::{Member, Process};
use crate::clock::Micros;
use crate::network::PipeId;

/// The longest frame of a client.
const FRAME_BYTES_MAX: usize = 1 << 20;

impl Member {
    /// A client has connected.
    pub(crate) fn on_client(&mut self, pipe: PipeId) {
        if let Some(process) = &mut self.process {
            let conn = process.table.add(pipe);
            if !process.serves && !process.shows {
                process.table.end(conn);
            }
        }
    }

    /// The session that is open on a connection, and its timeout in milliseconds.
    pub(crate) fn session_on(&self, pipe: PipeId) -> Option<(SessionId, i32)> {
        let table = &self.process.as_ref()?.table;
        let connection = &table.clients.get(&table.on_pipe(pipe)?)?.connection;
        (connection.phase() == Phase::Open).then(|| (connection.session(), connection.timeout_ms()))
    }

    /// Bytes of a client.
    pub(crate) fn on_client_bytes(&mut self, at: Micros, pipe: PipeId, bytes: &[u8]) {
        let now_ms = self.now(at).monotonic_ms;
        let Some(process) = &mut self.process else { return };
        process.table.now_ms = now_ms;
        let Some(conn) = process.table.on_pipe(pipe) else { return };
        let Some(client) = process.table.clients.get_mut(&conn) else { return };
        client.heard_ms = now_ms;
        client.unread.extend_from_slice(bytes);
        self.read_frames(at, conn);
    }

    /// Serves what was read, unless the session is only being made or looked up.
    pub(crate) fn read_frames(&mut self, at: Micros, conn: ConnId) {
        let now = self.now(at);
        let mut writes = Vec::new();
        loop {
            let Some(process) = &mut self.process else { return };
            let Some(client) = process.table.clients.get_mut(&conn) else { return };
            if !matches!(client.connection.phase(), Phase::New | Phase::Open) {
                break;
            }
            let Ok(Some(frame)) = FrameDecoder::new(FRAME_BYTES_MAX).next_frame(&mut client.unread) else { break };
            if client.connection.phase() == Phase::New {
                self.shake_hands(at, conn, &frame);
                continue;
            }
            let Process { tree, watches, table, .. } = process;
            let (rules, mut watches) = (&table.rules, watches);
            let mut view = ReadView { tree, watches: &mut watches, rules, now_ms: now.monotonic_ms };
            let Some(client) = table.clients.get_mut(&conn) else { return };
            client.connection.request(frame, &mut view, &mut writes);
            table.touch(conn);
        }
        if let Some(Process { peer, tree, .. }) = &mut self.process
            && !writes.is_empty()
        {
            peer.submit(now, tree, writes);
        }
    }

    /// A new session, or one that comes back.
    fn shake_hands(&mut self, at: Micros, conn: ConnId, frame: &[u8]) {
        let now = self.now(at);
        let Some(Process { peer, tree, table, serves, shows, .. }) = &mut self.process else { return };
        let request = ConnectRequest::read(&mut Reader::new(frame)).ok();
        let may_come = |request: &ConnectRequest<'_>| refusal(request, *shows, tree.last_zxid()).is_none();
        let Some(request) = request.filter(|request| (*serves || *shows) && may_come(request)) else {
            return table.end(conn);
        };
        let timeout_ms = peer.pipeline().rules().clamp_timeout(request.timeout_ms);
        let Some(client) = table.clients.get_mut(&conn) else { return };
        let connection = &mut client.connection;
        if *shows {
            connection.serve_read_only();
        }
        if request.session_id == SessionId::NONE {
            let session = peer.begin_session(now, timeout_ms, conn);
            connection.establish(session, timeout_ms, request.read_only);
            let create = connection.create_session_request(now.monotonic_ms);
            return peer.submit(now, tree, [create]);
        }
        let session = request.session_id;
        connection.establish(session, timeout_ms, request.read_only);
        if !password_matches(session, request.password) {
            connection.resumed(false);
            return table.touch(conn);
        }
        self.step(at, Input::RenewSession { conn, session, timeout_ms });
    }

    /// The leader has said whether a session is there.
    pub(crate) fn on_renewed(&mut self, at: Micros, conn: ConnId, valid: bool) {
        let Some(process) = &mut self.process else { return };
        if let Some(client) = process.table.clients.get_mut(&conn) {
            client.connection.resumed(valid);
            process.table.touch(conn);
            self.read_frames(at, conn);
        }
    }

    /// A client's connection is gone.
    pub(crate) fn on_client_gone(&mut self, at: Micros, conn: ConnId) {
        let Some(process) = &mut self.process else { return };
        let Some(client) = process.table.clients.remove(&conn) else { return };
        process.watches.remove_connection(conn);
        let (session, timeout_ms) = (client.connection.session(), client.connection.timeout_ms());
        if session != SessionId::NONE {
            let heard_ms = client.heard_ms;
            self.step(at, Input::Disconnected { conn, session, timeout_ms, heard_ms });
        }
    }
}
