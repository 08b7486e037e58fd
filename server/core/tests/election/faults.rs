//! What goes wrong, and when it is over.

use super::network::World;

/// How long things go wrong, in milliseconds.
const FAULTS_MS: i64 = 20_000;

impl World {
    /// A long time of faults, from a start in a random order on.
    pub(super) fn suffer(&mut self) {
        for at in 0..self.machines.len() {
            if self.random.chance(80) {
                self.start(at);
            }
            let pause = self.random.below(300) as i64;
            self.run_until(self.now_ms + pause);
        }
        let end_ms = self.now_ms + FAULTS_MS;
        while self.now_ms < end_ms {
            let pause = self.random.below(700) as i64;
            self.run_until(self.now_ms + pause);
            self.fault();
        }
    }

    fn fault(&mut self) {
        let at = self.random.below(self.machines.len() as u64) as usize;
        match self.random.below(12) {
            0..4 if self.machines[at].live.is_some() => self.crash(at),
            0..4 => self.start(at),
            4 => self.crash_leader(),
            5..8 => self.break_one(),
            8 => self.wall(),
            9 => self.one_way(at),
            10 => {
                self.latency_ms_max = [1, 4, 40, 300][self.random.below(4) as usize];
                self.note(format!("up to {} ms", self.latency_ms_max));
            }
            _ => self.open(),
        }
    }

    fn crash_leader(&mut self) {
        let last = self.epochs.last_key_value().map(|(_, at)| *at);
        if let Some(at) = last.filter(|at| self.machines[*at].live.is_some()) {
            self.crash(at);
        }
    }

    /// Some on this side, some on the other.
    fn wall(&mut self) {
        let sides: Vec<bool> = (0..self.machines.len()).map(|_| self.random.chance(50)).collect();
        self.note(format!("wall {sides:?}"));
        let all = 0..sides.len();
        let pairs = all.clone().flat_map(|from| all.clone().map(move |to| (from, to)));
        self.blocked = pairs.filter(|(from, to)| sides[*from] != sides[*to]).collect();
    }

    /// What this server says, or what it should hear, gets lost.
    fn one_way(&mut self, at: usize) {
        let mute = self.random.chance(50);
        self.note(format!("{} is {}", at + 1, if mute { "mute" } else { "deaf" }));
        let others = (0..self.machines.len()).filter(|other| *other != at);
        self.blocked = others.map(|other| if mute { (at, other) } else { (other, at) }).collect();
    }

    fn open(&mut self) {
        self.note("no walls".to_owned());
        self.blocked.clear();
    }

    /// Everything is well again; everybody runs.
    pub(super) fn heal(&mut self) {
        self.open();
        self.latency_ms_max = 4;
        for at in 0..self.machines.len() {
            if self.machines[at].live.is_none() {
                self.start(at);
            }
        }
    }
}
