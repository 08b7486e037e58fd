//! Reading packets off a connection between servers, as fast as they are taken.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use rookeeper_core::peer::Input;
use rookeeper_protocol::peer::{PacketDecoder, QuorumPacket};
use tokio::io::AsyncReadExt;
use tokio::net::tcp::OwnedReadHalf;
use tokio::sync::Semaphore;

use super::limits::{READ_BYTES, WAITING_BYTES_MAX};
use crate::runtime::{Arrival, Shared};

/// The read half of a connection, and what was read of it.
pub(super) struct Packets {
    reader: OwnedReadHalf,
    decoder: PacketDecoder,
    pub(super) buffer: BytesMut,
    room: Arc<Semaphore>,
}

impl Packets {
    pub(super) fn new(reader: OwnedReadHalf, inner_length_max: i32) -> Self {
        Self {
            reader,
            decoder: PacketDecoder::new(inner_length_max),
            buffer: BytesMut::new(),
            room: Arc::new(Semaphore::new(WAITING_BYTES_MAX)),
        }
    }

    /// Takes the next packet out of what was read, if it is whole.
    pub(super) fn next(&mut self) -> io::Result<Option<QuorumPacket>> {
        self.decoder.next_packet(&mut self.buffer).map_err(io::Error::other)
    }

    /// Reads more. False at the end of the stream.
    pub(super) async fn read(&mut self) -> io::Result<bool> {
        self.buffer.reserve(READ_BYTES);
        Ok(self.reader.read_buf(&mut self.buffer).await? > 0)
    }

    /// Hands in what packets mean, of about so many bytes, once there is room for it.
    pub(super) async fn hand_in(&self, shared: &Shared, inputs: Vec<Input>, bytes: usize) {
        if inputs.is_empty() {
            return;
        }
        let permits = bytes.clamp(1, WAITING_BYTES_MAX) as u32;
        // It is never closed.
        let room = self.room.clone().acquire_many_owned(permits).await.ok();
        shared.inbox.arrive(Arrival { inputs, room });
    }
}
