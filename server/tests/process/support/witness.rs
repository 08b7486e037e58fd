//! A client that behaves, to see that others cannot harm it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{Client, ask};

/// The longest that a request of a client that behaves may take while others do not. Alone it takes about a
/// millisecond; the machine may have other work.
pub(crate) const SERVED_WITHIN: Duration = Duration::from_secs(3);

/// The fewest requests that must have been served before an attack counts as survived.
const REQUESTS_MIN: u64 = 20;

/// Reads and writes, one request after the other, until it is asked how that went.
pub(crate) struct Witness {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<(u64, Duration)>,
}

impl Witness {
    pub(crate) fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = stop.clone();
        let mut client = Client::connect(address).unwrap();
        client.create("/witness", b"0");
        let thread = std::thread::spawn(move || {
            let (mut requests, mut longest) = (0, Duration::ZERO);
            while requests < REQUESTS_MIN || !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                let number = requests.to_string();
                client.must(&ask::set("/witness", number.as_bytes()));
                longest = longest.max(began.elapsed());
                let began = Instant::now();
                assert_eq!(client.get("/witness").unwrap().0, number.as_bytes());
                longest = longest.max(began.elapsed());
                requests += 1;
            }
            client.close();
            (requests, longest)
        });
        Self { stop, thread }
    }

    /// Ends, and fails if any request took too long.
    pub(crate) fn must_have_been_served(self) {
        self.stop.store(true, Ordering::Relaxed);
        let (requests, longest) = self.thread.join().expect("a client that behaved was not served");
        eprintln!("meanwhile {requests} writes and reads, the longest took {longest:?}");
        assert!(longest < SERVED_WITHIN, "a client that behaved waited for {longest:?}");
    }
}
