//! What a connection counts (`ServerCnxn`, `ServerStats`).

/// Counts of one connection, as the four-letter word `cons` tells them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionStats {
    /// Packets read.
    pub received: u64,
    /// Packets written.
    pub sent: u64,
    /// The client's number of the last request answered; -1 before the first.
    pub last_cxid: i64,
    /// The zxid in the last reply; -1 before the first.
    pub last_zxid: i64,
    /// Java's short name of the last operation answered.
    pub last_op: &'static str,
    /// When the last reply was written, in monotonic milliseconds; 0 before the first.
    pub last_response_ms: i64,
    /// Latency of the last request in milliseconds.
    pub last_latency_ms: i64,
    /// Replies that count towards the latencies.
    pub count: u64,
    /// Sum of latencies in milliseconds.
    pub total_latency_ms: u64,
    /// Shortest latency in milliseconds.
    pub min_latency_ms: i64,
    /// Longest latency in milliseconds.
    pub max_latency_ms: i64,
}

impl Default for ConnectionStats {
    fn default() -> Self {
        Self {
            received: 0,
            sent: 0,
            last_cxid: -1,
            last_zxid: -1,
            last_op: "NA",
            last_response_ms: 0,
            last_latency_ms: 0,
            count: 0,
            total_latency_ms: 0,
            min_latency_ms: i64::MAX,
            max_latency_ms: 0,
        }
    }
}

/// What happened since the driver last asked, to be added to the server's counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// Packets read.
    pub received: u64,
    /// Packets written.
    pub sent: u64,
    /// Replies that count towards the latencies.
    pub count: u64,
    /// Sum of latencies in milliseconds.
    pub total_latency_ms: u64,
    /// Longest latency in milliseconds.
    pub max_latency_ms: i64,
    /// Shortest latency in milliseconds; only when `count` is not zero.
    pub min_latency_ms: i64,
    /// Reads that were answered within a millisecond: nearly all.
    pub reads_at_once: u64,
    /// The others: latency in milliseconds, and how many one behind the other had it.
    pub read_waits: Vec<(i64, u64)>,
    /// Length of the last reply in bytes.
    pub last_response_len: u64,
    /// Length of the longest reply in bytes.
    pub max_response_len: u64,
    /// Length of the shortest reply in bytes; 0 when there was none.
    pub min_response_len: u64,
    /// Bytes of requests read.
    pub bytes_received: u64,
    /// Bytes of replies written.
    pub response_bytes: u64,
    /// Bytes of watch events written.
    pub watch_bytes: u64,
}

impl Tally {
    /// Notes a reply of so many bytes.
    pub(super) fn response(&mut self, len: u64) {
        self.response_bytes += len;
        self.packet(len);
    }

    /// Notes a watch event of so many bytes.
    pub(super) fn event(&mut self, len: u64) {
        self.watch_bytes += len;
        self.packet(len);
    }

    fn packet(&mut self, len: u64) {
        self.sent += 1;
        self.last_response_len = len;
        self.max_response_len = self.max_response_len.max(len);
        self.min_response_len = if self.min_response_len == 0 { len } else { self.min_response_len.min(len) };
    }

    /// Notes how long a read took.
    pub(super) fn read(&mut self, latency_ms: i64) {
        match self.read_waits.last_mut() {
            _ if latency_ms <= 0 => self.reads_at_once += 1,
            Some((last_ms, count)) if *last_ms == latency_ms => *count += 1,
            _ => self.read_waits.push((latency_ms, 1)),
        }
    }

    /// Notes how long a request took.
    pub(super) fn latency(&mut self, latency_ms: i64) {
        self.min_latency_ms = if self.count == 0 { latency_ms } else { self.min_latency_ms.min(latency_ms) };
        self.max_latency_ms = self.max_latency_ms.max(latency_ms);
        self.total_latency_ms += latency_ms.max(0) as u64;
        self.count += 1;
    }
}
