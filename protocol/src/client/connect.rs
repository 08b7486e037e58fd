//! The handshake (`ConnectRequest`, `ConnectResponse`, `ProtocolManager`).

use bytes::BytesMut;

use super::frame::{finish_frame, start_frame};
use crate::jute::{DecodeError, Reader, Writer};
use crate::types::{SessionId, Zxid};

/// The only version of the client protocol.
pub const PROTOCOL_VERSION: i32 = 0;

/// Length of a session's password in bytes.
pub const PASSWORD_LEN: usize = 16;

/// A client's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest<'a> {
    /// Always 0; not looked at.
    pub protocol_version: i32,
    /// The newest transaction the client has seen the effect of.
    pub last_zxid_seen: Zxid,
    /// The session timeout it wishes, in milliseconds.
    pub timeout_ms: i32,
    /// The session it resumes, or [`SessionId::NONE`].
    pub session_id: SessionId,
    /// The session's password, possibly null.
    pub password: Option<&'a [u8]>,
    /// Whether a read-only server will do; `None` when the client is too old to say.
    pub read_only: Option<bool>,
}

impl<'a> ConnectRequest<'a> {
    /// Reads the request. A missing last byte means an old client (`ProtocolManager#deserializeConnectRequest`).
    pub fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self {
            protocol_version: reader.int()?,
            last_zxid_seen: Zxid(reader.long()?),
            timeout_ms: reader.int()?,
            session_id: SessionId(reader.long()?),
            password: reader.buffer()?,
            read_only: if reader.remaining() == 0 { None } else { Some(reader.boolean()?) },
        })
    }

    /// Writes the request as a frame.
    pub fn write_frame(&self, out: &mut BytesMut) {
        let start = start_frame(out);
        out.int(self.protocol_version);
        out.long(self.last_zxid_seen.0);
        out.int(self.timeout_ms);
        out.long(self.session_id.0);
        out.buffer(self.password);
        if let Some(read_only) = self.read_only {
            out.boolean(read_only);
        }
        finish_frame(out, start);
    }
}

/// The server's first frame. Session 0 with timeout 0 tells the client that its session is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Always 0.
    pub protocol_version: i32,
    /// The session timeout that was agreed on, in milliseconds.
    pub timeout_ms: i32,
    /// The session.
    pub session_id: SessionId,
    /// Its password.
    pub password: [u8; PASSWORD_LEN],
    /// Whether the server is read-only; left out for clients that did not send the flag.
    pub read_only: Option<bool>,
}

impl ConnectResponse {
    /// The answer to a session that is over or never was.
    pub fn expired(read_only: Option<bool>) -> Self {
        Self {
            protocol_version: PROTOCOL_VERSION,
            timeout_ms: 0,
            session_id: SessionId::NONE,
            password: [0; PASSWORD_LEN],
            read_only,
        }
    }

    /// Reads the response; a password of another length is padded or cut, since only servers make it up.
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (protocol_version, timeout_ms) = (reader.int()?, reader.int()?);
        let session_id = SessionId(reader.long()?);
        let mut password = [0; PASSWORD_LEN];
        for (to, from) in password.iter_mut().zip(reader.buffer()?.unwrap_or_default()) {
            *to = *from;
        }
        let read_only = if reader.remaining() == 0 { None } else { Some(reader.boolean()?) };
        Ok(Self { protocol_version, timeout_ms, session_id, password, read_only })
    }

    /// Writes the response as a frame.
    pub fn write_frame(&self, out: &mut BytesMut) {
        let start = start_frame(out);
        out.int(self.protocol_version);
        out.int(self.timeout_ms);
        out.long(self.session_id.0);
        out.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            out.boolean(read_only);
        }
        finish_frame(out, start);
    }
}
