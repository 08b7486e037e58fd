//! Who works off the inbox, and where: on a thread of its own, or, while it is idle, where requests are read.
//!
//! A reader that has nothing to do lies in the inbox for whoever brings requests, who then sees to them at once: waking
//! another thread costs a lone client more than the work itself.

use std::time::Instant;

use parking_lot::{Condvar, MutexGuard};
use tokio::sync::Notify;

use super::inbox::{Arrived, Bell, Idle, Inbox, Place};

/// Turns that a borrower takes before the reader's own thread goes on.
const BORROWED_TURNS_MAX: usize = 3;

/// Who works off an inbox.
pub(crate) trait Reader: Send {
    /// What it does next, with this in the inbox. Must not lock what anybody holds who puts something into the inbox.
    fn next(&mut self, arrived: &Arrived) -> Next;

    /// Takes what has arrived and carries it out, as far as nobody has to be waited for.
    fn turn(&mut self);

    /// Ends in order, unless the server has failed.
    fn end(self: Box<Self>);
}

/// What a reader does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// It has something to do.
    Turn,
    /// Nothing, until something arrives or this time has come.
    Wait {
        until: Option<Instant>,
        /// What comes may be seen to by whoever brings it: it does not take long.
        lends: bool,
    },
    /// Nothing any more.
    End,
}

impl Inbox {
    /// Lets a reader work on this thread until it ends.
    pub(crate) fn read_as_thread(&self, mut reader: Box<dyn Reader>) -> Box<dyn Reader> {
        let Bell::Thread(changed) = &self.bell else { return reader };
        let mut arrived = self.lock();
        loop {
            match reader.next(&arrived) {
                Next::Turn => {
                    drop(arrived);
                    reader.turn();
                    arrived = self.lock();
                }
                Next::End => return reader,
                Next::Wait { until, lends: false } => wait(changed, &mut arrived, until),
                Next::Wait { until, lends: true } => {
                    arrived.place = Place::Idle(Idle { reader, until });
                    wait(changed, &mut arrived, until);
                    reader = loop {
                        match arrived.call_home() {
                            Some(back) => break back,
                            None => changed.wait(&mut arrived),
                        }
                    };
                }
            }
        }
    }

    /// Lets a reader work in this task until it ends. Before each look into the inbox those who read sockets on the same
    /// thread have their turn, so that all that is there is taken at once.
    pub(crate) async fn read_as_task(&self, reader: Box<dyn Reader>) -> Box<dyn Reader> {
        let Bell::Task(changed) = &self.bell else { return reader };
        let mut reader = reader;
        loop {
            tokio::task::yield_now().await;
            let until = match self.look(reader) {
                Look::Turned(back) => {
                    reader = back;
                    continue;
                }
                Look::Ended(back) => return back,
                Look::Kept(back, until) => {
                    reader = back;
                    rung(changed, until).await;
                    continue;
                }
                Look::Lent(until) => until,
            };
            rung(changed, until).await;
            reader = loop {
                let back = self.lock().call_home();
                match back {
                    Some(back) => break back,
                    None => changed.notified().await,
                }
            };
        }
    }

    /// Lets a reader do what it does next, and lays it down here if it lends itself.
    fn look(&self, mut reader: Box<dyn Reader>) -> Look {
        let mut arrived = self.lock();
        match reader.next(&arrived) {
            Next::Turn => {
                drop(arrived);
                reader.turn();
                Look::Turned(reader)
            }
            Next::End => Look::Ended(reader),
            Next::Wait { until, lends: false } => Look::Kept(reader, until),
            Next::Wait { until, lends: true } => {
                arrived.place = Place::Idle(Idle { reader, until });
                Look::Lent(until)
            }
        }
    }
}

/// What came of a look into the inbox. What arrives behind it rings the bell.
enum Look {
    /// The reader has taken a turn.
    Turned(Box<dyn Reader>),
    /// It has come to its end.
    Ended(Box<dyn Reader>),
    /// It waits.
    Kept(Box<dyn Reader>, Option<Instant>),
    /// It lies in the inbox, and its thread waits.
    Lent(Option<Instant>),
}

fn wait(changed: &Condvar, arrived: &mut MutexGuard<'_, Arrived>, until: Option<Instant>) {
    match until {
        None => changed.wait(arrived),
        // Time is one of the things that happen.
        Some(until) => drop(changed.wait_until(arrived, until)),
    }
}

async fn rung(changed: &Notify, until: Option<Instant>) {
    match until {
        None => changed.notified().await,
        Some(until) => drop(tokio::time::timeout_at(until.into(), changed.notified()).await),
    }
}

/// A reader, as whoever borrowed it holds it. It is given back when this is dropped.
pub(crate) struct Borrowed<'a> {
    inbox: &'a Inbox,
    /// None once it is given back.
    idle: Option<Idle>,
}

impl<'a> Borrowed<'a> {
    pub(super) fn new(inbox: &'a Inbox, idle: Idle) -> Self {
        Self { inbox, idle: Some(idle) }
    }

    /// Sees to what has arrived, and to what comes of it meanwhile.
    pub(crate) fn see_to_it(&mut self) {
        for _ in 0..BORROWED_TURNS_MAX {
            let Some(Idle { reader, .. }) = &mut self.idle else { return };
            reader.turn();
            if reader.next(&self.inbox.lock()) != Next::Turn {
                return;
            }
        }
    }
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        let Some(Idle { mut reader, until }) = self.idle.take() else { return };
        let mut arrived = self.inbox.lock();
        let wanted = matches!(arrived.place, Place::Lent { wanted: true });
        // Its thread goes on where it would not have waited, or not for so long.
        let goes_on = match reader.next(&arrived) {
            Next::Wait { until: now, lends: true } => now.is_some_and(|now| until.is_none_or(|until| now < until)),
            _ => true,
        };
        arrived.place = Place::Idle(Idle { reader, until });
        if goes_on || wanted {
            self.inbox.ring(&arrived);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use parking_lot::Mutex;
    use rookeeper_core::peer::Input;
    use rookeeper_core::pipeline::WriteRequest;
    use rookeeper_protocol::types::SessionId;

    use super::*;
    use crate::runtime::Arrival;

    /// Longer than any of these takes.
    const LONG: Duration = Duration::from_secs(60);

    /// What a reader and its test share.
    struct Desk {
        inbox: Inbox,
        /// Who took a turn, and how many requests were there.
        turns: mpsc::Sender<(ThreadId, usize)>,
        ended: AtomicBool,
        /// So many things are to be done that did not come through the inbox.
        news: AtomicUsize,
        breaks: AtomicBool,
        /// When the thread of the reader does something by itself.
        until: Mutex<Option<Instant>>,
    }

    struct TestReader(Arc<Desk>);

    impl Reader for TestReader {
        fn next(&mut self, arrived: &Arrived) -> Next {
            let desk = &self.0;
            if !arrived.is_empty() || desk.news.load(Ordering::Relaxed) > 0 {
                return Next::Turn;
            }
            if desk.ended.load(Ordering::Relaxed) {
                return Next::End;
            }
            Next::Wait { until: *desk.until.lock(), lends: true }
        }

        fn turn(&mut self) {
            let desk = &self.0;
            let taken = std::mem::take(&mut desk.inbox.lock().requests).len();
            desk.inbox.lock().arrivals.clear();
            desk.news.store(0, Ordering::Relaxed);
            desk.turns.send((thread::current().id(), taken)).unwrap();
            assert!(!desk.breaks.load(Ordering::Relaxed), "as the test wants");
        }

        fn end(self: Box<Self>) {}
    }

    fn desk(inbox: Inbox) -> (Arc<Desk>, mpsc::Receiver<(ThreadId, usize)>) {
        let (turns, taken) = mpsc::channel();
        let (ended, news, breaks) = Default::default();
        (Arc::new(Desk { inbox, turns, ended, news, breaks, until: Mutex::default() }), taken)
    }

    /// A reader on a thread of its own, idle.
    fn on_thread() -> (Arc<Desk>, mpsc::Receiver<(ThreadId, usize)>, thread::JoinHandle<()>) {
        let (desk, turns) = desk(Inbox::for_thread());
        let shared = desk.clone();
        let home = thread::spawn(move || shared.inbox.read_as_thread(Box::new(TestReader(shared.clone()))).end());
        until_idle(&desk);
        (desk, turns, home)
    }

    fn until_idle(desk: &Desk) {
        while !matches!(desk.inbox.lock().place, Place::Idle(_)) {
            thread::yield_now();
        }
    }

    fn end(desk: &Desk, home: thread::JoinHandle<()>) {
        desk.ended.store(true, Ordering::Relaxed);
        desk.inbox.wake();
        home.join().unwrap();
    }

    fn request() -> Vec<WriteRequest> {
        vec![WriteRequest::expire(SessionId(1), 0)]
    }

    #[test]
    fn whoever_finds_the_reader_idle_takes_its_turn() {
        let (desk, turns, home) = on_thread();
        desk.inbox.push_and_borrow(&mut request()).unwrap().see_to_it();
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (thread::current().id(), 1));
        // What needs no borrower is for its own thread.
        desk.inbox.push(&mut request());
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (home.thread().id(), 1));
        end(&desk, home);
        assert!(turns.try_recv().is_err());
    }

    #[test]
    fn only_one_has_the_reader() {
        let (desk, turns, home) = on_thread();
        let mut borrowed = desk.inbox.push_and_borrow(&mut request()).unwrap();
        assert!(desk.inbox.push_and_borrow(&mut request()).is_none());
        desk.inbox.tell(Input::Stop);
        borrowed.see_to_it();
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (thread::current().id(), 2));
        drop(borrowed);
        end(&desk, home);
        assert!(turns.try_recv().is_err());
    }

    #[test]
    fn what_others_said_is_for_the_readers_thread() {
        let (desk, turns, home) = on_thread();
        {
            // As if its thread were slow to wake.
            let mut arrived = desk.inbox.lock();
            arrived.arrivals.push(Arrival { input: Input::Timeout, room: None });
        }
        assert!(desk.inbox.push_and_borrow(&mut request()).is_none());
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (home.thread().id(), 1));
        end(&desk, home);
    }

    #[test]
    fn what_comes_while_the_reader_is_lent_is_not_forgotten() {
        let (desk, turns, home) = on_thread();
        let mut borrowed = desk.inbox.push_and_borrow(&mut request()).unwrap();
        borrowed.see_to_it();
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (thread::current().id(), 1));
        desk.news.store(1, Ordering::Relaxed);
        desk.inbox.wake();
        drop(borrowed);
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (home.thread().id(), 0));
        end(&desk, home);
    }

    #[test]
    fn a_borrower_that_breaks_gives_the_reader_back() {
        let (desk, turns, home) = on_thread();
        desk.breaks.store(true, Ordering::Relaxed);
        let borrower = desk.clone();
        let broken = thread::spawn(move || borrower.inbox.push_and_borrow(&mut request()).unwrap().see_to_it());
        let borrower = broken.thread().id();
        broken.join().unwrap_err();
        assert_eq!(turns.recv_timeout(LONG).unwrap(), (borrower, 1));
        end(&desk, home);
    }

    #[test]
    fn a_reader_whose_time_comes_while_it_is_lent_goes_on_behind_that() {
        for inbox in [Inbox::for_thread(), Inbox::for_task()] {
            let (desk, turns) = desk(inbox);
            *desk.until.lock() = Some(Instant::now() + Duration::from_millis(20));
            let shared = desk.clone();
            let home = thread::spawn(move || {
                let reader = Box::new(TestReader(shared.clone()));
                let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
                match &shared.inbox.bell {
                    Bell::Thread(_) => shared.inbox.read_as_thread(reader),
                    Bell::Task(_) => runtime.block_on(shared.inbox.read_as_task(reader)),
                }
                .end();
            });
            let mut borrowed = loop {
                // It is idle most of the time.
                match desk.inbox.push_and_borrow(&mut request()) {
                    Some(borrowed) => break borrowed,
                    None => assert_eq!(turns.recv_timeout(LONG).unwrap().0, home.thread().id()),
                }
            };
            while !matches!(desk.inbox.lock().place, Place::Lent { wanted: true }) {
                thread::yield_now();
            }
            borrowed.see_to_it();
            assert_eq!(turns.recv_timeout(LONG).unwrap().0, thread::current().id());
            *desk.until.lock() = None;
            desk.news.store(1, Ordering::Relaxed);
            drop(borrowed);
            assert_eq!(turns.recv_timeout(LONG).unwrap(), (home.thread().id(), 0));
            end(&desk, home);
        }
    }

    #[test]
    fn a_reader_that_is_asked_for_sooner_wakes_its_thread() {
        let (desk, turns, home) = on_thread();
        let borrowed = desk.inbox.push_and_borrow(&mut Vec::new()).unwrap();
        *desk.until.lock() = Some(Instant::now());
        drop(borrowed);
        // Its thread looks again, and waits for the new time.
        while !matches!(&desk.inbox.lock().place, Place::Idle(Idle { until: Some(_), .. })) {
            thread::yield_now();
        }
        end(&desk, home);
        assert!(turns.try_recv().is_err());
    }
}
