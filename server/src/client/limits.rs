//! Bounds of one connection, and of all together. Each keeps one client from costing the others.

/// Bytes asked of the socket at once.
pub(super) const READ_BYTES: usize = 16 << 10;

/// Replies are written out before more requests are served once this many bytes wait, so that a client that
/// asks for much and reads nothing costs this and one reply more.
pub(super) const OUT_BYTES_MAX: usize = 256 << 10;

/// Requests of one connection that may wait behind its writes; then it is read no further.
pub(super) const WAITING_REQUESTS_MAX: usize = 4096;

/// Bytes of such requests. At least one request of any legal size is always taken.
pub(super) const WAITING_BYTES_MAX: usize = 4 << 20;

/// Requests served before other connections get their turn on the thread.
pub(super) const BATCH_REQUESTS_MAX: usize = 1024;

/// Bytes of all requests in the pipeline above which connections with requests in it are read no further.
pub(super) const IN_FLIGHT_BYTES_MAX: usize = 256 << 20;

/// Reads that may wait behind a write of their connection. All of them are answered at once when the write is
/// applied, since none may see the connection's next write; each costs a reply of the size of a znode.
pub(super) const WAITING_READS_MAX: usize = 64;

/// From so many bytes on, what a client has not taken counts towards [`UNSENT_BYTES_MAX`]; most have taken all of it.
pub(super) const UNSENT_BYTES_COUNTED: usize = 64 << 10;

/// Bytes of buffers that hold what all clients together have not taken. Whoever adds to more than that is closed.
pub(super) const UNSENT_BYTES_MAX: i64 = 512 << 20;
