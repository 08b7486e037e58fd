//! Work that may take its time.

/// Added to the nice value of a thread that steps back: it still gets a tenth of a busy core.
const STEP_BACK: i32 = 10;

/// Lets this thread run behind those that clients and other servers wait for, for the rest of its life. Not for a thread
/// that holds what those wait for.
pub(crate) fn step_back() {
    // With Linux a nice value belongs to a thread, and 0 names the caller.
    let stepped = rustix::process::getpriority_process(None)
        .and_then(|nice| rustix::process::setpriority_process(None, nice + STEP_BACK));
    if let Err(error) = stepped {
        tracing::debug!("a thread of the background runs with the priority of the others: {error}");
    }
}

/// Steps of some microseconds between two times that others are let in front.
const STEPS: u32 = 32;

/// Lets others in front while a thread that has stepped back works on something long. A kernel may let whoever runs finish a
/// slice of some milliseconds, whatever its nice value.
#[derive(Debug, Default)]
pub(crate) struct Courtesy {
    steps: u32,
}

impl Courtesy {
    /// A step of some microseconds is done.
    pub(crate) fn step(&mut self) {
        self.steps += 1;
        if self.steps >= STEPS {
            self.steps = 0;
            std::thread::yield_now();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn one_thread_steps_back_and_the_others_do_not() {
        let nice = || rustix::process::getpriority_process(None).unwrap();
        let before = nice();
        let behind = std::thread::spawn(move || {
            step_back();
            nice()
        });
        assert_eq!(behind.join().unwrap(), (before + STEP_BACK).min(19));
        assert_eq!(nice(), before);
    }
}
