//! Bounds of what other servers may cost. Each has a name, and none depends on what they say.

use std::time::Duration;

/// Bytes asked of a socket at once.
pub(super) const READ_BYTES: usize = 64 << 10;

/// The same on election connections, where messages are short.
pub(super) const ELECTION_READ_BYTES: usize = 4 << 10;

/// Bytes of packets of one connection that may wait in the inbox. One packet of any legal size is always taken.
pub(super) const WAITING_BYTES_MAX: usize = 4 << 20;

/// Bytes that may wait to be written to one server. Whoever leaves more unread has lost its connection, and comes back
/// to be synchronized.
pub(super) const UNSENT_BYTES_MAX: usize = 256 << 20;

/// Connections to the learner port at one time. More than an ensemble has servers; the machine closes those that do
/// not belong to any.
pub(super) const LEARNERS_MAX: usize = 512;

/// Connections to the election port whose first message is being read.
pub(super) const STRANGERS_MAX: usize = 256;

/// Notifications and events of connections that may wait for the election's task. What does not fit is dropped where it
/// is a notification, since an election repeats itself, and waited for where it is an event.
pub(super) const ELECTION_EVENTS_MAX: usize = 1024;

/// Pause before a port is tried again that could not be listened on.
pub(super) const BIND_PAUSE: Duration = Duration::from_secs(1);

/// Pause when the process has no file descriptors left.
pub(super) const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);
