//! Waiting for sockets and for points in time, finer than a millisecond.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};

use crate::error::BenchError;

/// Events taken per wait. More would only delay the first replies of the batch.
const EVENTS_MAX: usize = 256;

/// The event data of the timer, which no connection has.
const TIMER: u64 = u64::MAX;

/// What a socket is ready for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    /// Which connection.
    pub(crate) connection: usize,
    /// Bytes, the end, or an error can be read.
    pub(crate) readable: bool,
    /// There is room to write.
    pub(crate) writable: bool,
}

/// An epoll instance with a timer. Its own epoll and not a runtime's: a batch costs one wait, one read and one write,
/// and nothing else.
#[derive(Debug)]
pub(crate) struct Poller {
    epoll: OwnedFd,
    timer: OwnedFd,
}

impl Poller {
    /// A poller without sockets.
    pub(crate) fn new() -> Result<Self, BenchError> {
        let create = || {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
            // Edge-triggered: the timer is never read, only set again.
            epoll::add(&epoll, &timer, EventData::new_u64(TIMER), EventFlags::IN | EventFlags::ET)?;
            Ok(Self { epoll, timer })
        };
        create().map_err(|error: Errno| BenchError::io("cannot create an epoll instance")(error.into()))
    }

    /// Begins to watch a socket for reading, or for both.
    pub(crate) fn add(&self, socket: impl AsFd, connection: usize, write: bool) -> Result<(), BenchError> {
        epoll::add(&self.epoll, socket, EventData::new_u64(connection as u64), flags(write))
            .map_err(|error| BenchError::io("cannot watch a socket")(error.into()))
    }

    /// Changes whether room to write is waited for.
    pub(crate) fn modify(&self, socket: impl AsFd, connection: usize, write: bool) -> Result<(), BenchError> {
        epoll::modify(&self.epoll, socket, EventData::new_u64(connection as u64), flags(write))
            .map_err(|error| BenchError::io("cannot watch a socket")(error.into()))
    }

    /// Stops watching a socket that is going to be closed anyway.
    pub(crate) fn remove(&self, socket: impl AsFd) {
        // It fails only for a socket that is not watched, which is what was wanted.
        let _ = epoll::delete(&self.epoll, socket);
    }

    /// Waits until a socket is ready or `timeout_ns` is over, and puts what is ready into `ready`.
    pub(crate) fn wait(&self, timeout_ns: u64, ready: &mut Vec<Ready>) -> Result<(), BenchError> {
        let whole_ms = timeout_ns / 1_000_000;
        // The kernel counts epoll's timeout in milliseconds; the timer ends the wait where that is too coarse.
        if timeout_ns > 0 && whole_ms < 100 {
            let time = |ns: u64| Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 };
            let value = Itimerspec { it_interval: time(0), it_value: time(timeout_ns) };
            timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &value)
                .map_err(|error| BenchError::io("cannot set a timer")(error.into()))?;
        }
        let wait_ms = if timeout_ns == 0 { 0 } else { whole_ms.min(1000) + 1 };
        let timeout = Timespec { tv_sec: (wait_ms / 1000) as i64, tv_nsec: (wait_ms % 1000 * 1_000_000) as i64 };
        ready.clear();
        let mut room = [const { MaybeUninit::<Event>::uninit() }; EVENTS_MAX];
        let events = match epoll::wait(&self.epoll, &mut room[..], Some(&timeout)) {
            Ok((events, _)) => events,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(BenchError::io("cannot wait for sockets")(error.into())),
        };
        for event in events {
            let (data, flags) = (event.data, event.flags);
            if data.u64() != TIMER {
                ready.push(Ready {
                    connection: data.u64() as usize,
                    readable: flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR | EventFlags::RDHUP),
                    writable: flags.contains(EventFlags::OUT),
                });
            }
        }
        Ok(())
    }
}

fn flags(write: bool) -> EventFlags {
    if write { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN }
}
