//! The client port: frames, the handshake, requests, replies and watch events.

mod connect;
mod four_letter;
mod frame;
mod header;
mod multi;
mod request;
mod response;
mod watch;

pub use connect::{ConnectRequest, ConnectResponse, PASSWORD_LEN, PROTOCOL_VERSION};
pub use four_letter::FourLetterWord;
#[cfg(feature = "codec")]
pub use frame::FrameCodec;
pub use frame::{FRAME_HEADER_LEN, Frame, FrameDecoder, FrameError, finish_frame, start_frame};
pub use header::{ReplyHeader, RequestHeader, xid};
pub use multi::{MULTI_END, MultiHeader, MultiKind, MultiOp, MultiRequest};
pub use request::{
    AddWatchRequest, AuthRequest, CheckRequest, CreateRequest, DeleteRequest, PathRequest, PathWatchRequest,
    ReconfigRequest, SetAclRequest, SetDataRequest, SetWatchesRequest, Text, WatchTypeRequest,
};
pub use response::{write_children, write_error_reply, write_reply_header};
pub use watch::{AddWatchMode, EventType, KEEPER_STATE_SYNC_CONNECTED, WatchEvent, WatcherType};
