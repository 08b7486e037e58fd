//! What the machine asks for besides the disk: words to other servers, the clients' door, lists of members, and what
//! operators should read.

use std::time::Duration;

use rookeeper_core::ensemble::{Activation, EnsembleConfig};
use rookeeper_core::peer::{Event, Output};
use rookeeper_core::watch::ConnId;
use rookeeper_core::zab::{DialId, LearnerLink};
use rookeeper_protocol::types::{HostPort, ServerId, SessionId};
use rookeeper_storage::Result;

use super::thread::MemberThread;
use crate::disk::{Camera, HistoryRequest, Picture};
use crate::peers::{Dial, Job, LeaderLink};
use crate::runtime::tree_rules;

/// What a znode takes in Java's snapshot besides its path and data, in bytes.
const SNAPSHOT_ZNODE_BYTES: u64 = 76;

impl MemberThread {
    /// Carries out what is no write.
    pub(super) fn dispatch(&mut self, output: Output) {
        match output {
            Output::ElectionMessage { to, message } => self.sockets.election.send(to, message),
            Output::Dial { dial, to, timeout_ms } => {
                let at = self.sockets.addresses.learner_port(to);
                self.dial(dial, to, at, timeout_ms);
            }
            Output::DialObserverMaster { dial, to, timeout_ms } => {
                let port = self.shared.config.ensemble.limits.observer_master_port.unwrap_or(0);
                let at = self.sockets.addresses.learner_port(to);
                let at = at.into_iter().map(|address| HostPort { port, ..address }).collect();
                self.dial(dial, to, at, timeout_ms);
            }
            Output::ToLeader { dial, frames } => {
                if let Some(leader) = self.leader.as_ref().filter(|leader| leader.dial == dial) {
                    leader.send(frames);
                }
            }
            Output::HangUp { dial } => {
                self.leader.take_if(|leader| leader.dial == dial);
            }
            Output::ToLearner { link, frames } => self.sockets.learners.send(link, frames),
            Output::Dismiss { link } => {
                self.pictures.remove(&link);
                self.sockets.learners.dismiss(link);
            }
            Output::ReadHistory { link, after, through, bytes_max, size_limit_permille } => {
                let log_bytes_max =
                    size_limit_permille.map(|permille| self.snapshot_bytes() * u64::from(permille) / 1000);
                let history = self.disk.history();
                let request = HistoryRequest { history, after, through, bytes_max, log_bytes_max };
                self.sockets.learners.work(link, Job::History(request));
            }
            Output::OpenSnapshot { link } => self.open_snapshot(link),
            Output::SendSnapshot { link } => {
                if let Some(picture) = self.pictures.remove(&link) {
                    self.sockets.learners.work(link, Job::Snapshot(picture.send()));
                }
            }
            Output::Serve => {
                self.shared.part_changed();
                self.shared.begin_to_serve();
                tracing::info!("clients are served from now on");
            }
            Output::ServeReadOnly => {
                self.shared.part_changed();
                self.shared.begin_to_serve();
                tracing::warn!(
                    "no quorum can be found: clients that can do with that are served, and nothing is written"
                );
            }
            Output::StopServing => {
                self.shared.end_serving();
                tracing::info!("clients are not served any more");
            }
            Output::SessionRenewed { conn, session, valid } => self.renewed(conn, session, valid),
            Output::CloseConnection { conn, session } => {
                self.with_connection(conn, session, |connection| connection.end());
            }
            Output::Tell(event) => tell_operator(&event),
            Output::Stopped => self.stopped = true,
            // Writes are the disk's; the state is told by the monitor.
            _ => {}
        }
    }

    /// Keeps a list that was proposed.
    pub(super) fn see_members(&mut self, text: &str) -> Result<()> {
        self.files.keep_next(text)?;
        if let Some(next) = self.parse(text) {
            self.sockets.addresses.see(next);
        }
        Ok(())
    }

    /// Keeps a list that is in force, and goes where it says.
    pub(super) fn activate_members(&mut self, text: &str, activation: &Activation) -> Result<()> {
        self.files.keep(text, activation)?;
        if let Some(active) = self.parse(text) {
            self.sockets.addresses.activate(active);
            self.mover.follow();
        }
        self.shared.part_changed();
        if let Some(address) = &activation.client_address {
            self.shared.client_address.send_replace(Some(address.clone()));
        }
        Ok(())
    }

    fn dial(&mut self, dial: DialId, to: ServerId, at: Vec<HostPort>, timeout_ms: i64) {
        let limits = &self.shared.config.ensemble.limits;
        let dial =
            Dial { dial, to, at, timeout: Duration::from_millis(timeout_ms.max(1) as u64), patience: limits.patience };
        self.leader = Some(LeaderLink::dial(self.shared.clone(), dial));
    }

    fn parse(&self, text: &str) -> Option<EnsembleConfig> {
        let rules = self.shared.machine.lock().member().map(|peer| peer.zab().membership.rules())?;
        // The machine has read it before.
        EnsembleConfig::parse(text, rules).ok()
    }

    /// About the length of Java's snapshot of the present tree.
    fn snapshot_bytes(&self) -> u64 {
        let tree = self.shared.tree.read();
        tree.data_size() as u64 + tree.node_count() as u64 * SNAPSHOT_ZNODE_BYTES
    }

    fn open_snapshot(&mut self, link: LearnerLink) {
        // A learner that went in the same moment has been let go already: nobody would take the picture, nor end it.
        if !self.sockets.learners.is_open(link) {
            return;
        }
        let camera = Camera {
            shared: self.shared.clone(),
            image: self.disk.image().clone(),
            progress: self.progress.clone(),
            history: self.disk.history(),
            rules: tree_rules(&self.shared.config),
        };
        let learners = self.sockets.learners.clone();
        match Picture::begin(camera, link, move || learners.dismiss(link)) {
            Ok((picture, camera)) => {
                self.cameras.retain(|camera| !camera.is_finished());
                self.cameras.push(camera);
                self.pictures.insert(link, picture);
            }
            Err(error) => {
                tracing::error!("cannot make a snapshot for a learner: {error}");
                self.sockets.learners.dismiss(link);
            }
        }
    }

    fn renewed(&self, conn: ConnId, session: SessionId, valid: bool) {
        if !valid {
            tracing::info!("invalid session {session}, probably expired");
        }
        self.with_connection(conn, session, |connection| connection.resumed(valid));
    }

    /// Changes a connection that has this session, and lets it write.
    fn with_connection(
        &self,
        conn: ConnId,
        session: SessionId,
        change: impl FnOnce(&mut rookeeper_core::client::Connection),
    ) {
        let Some(handle) = self.shared.connections.get(conn) else { return };
        {
            let mut state = handle.state.lock();
            if state.machine.session() != session {
                return;
            }
            change(&mut state.machine);
        }
        handle.write(&self.shared);
        handle.notify.notify_one();
    }
}

fn tell_operator(event: &Event) {
    match event {
        Event::Dismissed { link, server: Some(server), reason } => {
            tracing::warn!("closed the connection of server {server} ({}): {reason}", link.0);
        }
        Event::Dismissed { link, server: None, reason } => {
            tracing::info!("closed connection {} to the learner port: {reason}", link.0);
        }
        Event::LeftLeader { leader, reason } => tracing::warn!("left leader {leader}: {reason}"),
        Event::SteppedDown { reason } => tracing::warn!("leads no longer: {reason}"),
        Event::Synchronized { server } => tracing::info!("server {server} is synchronized"),
    }
}
