//! Heartbeats: to the nodes that monitor us, and from those that we monitor.

use std::net::SocketAddr;
use std::time::Instant;

use super::Engine;
use super::timers::Timer;
use crate::failure_detector::{Heartbeat, MONITORED_TRIES, Tell};
use crate::krpc::{Contact, Method};
use crate::rpc::Purpose;

impl Engine {
    /// Sends a heartbeat to our monitors. Due every second, and at the first announce.
    pub(super) fn heartbeat(&mut self, now: Instant) {
        let announcing = !self.publish.is_empty();
        let heartbeats = self.failure_detector.heartbeats(announcing, &self.routing, now);
        self.send_heartbeats(heartbeats, now);
    }

    /// We need no monitors any more.
    pub(super) fn release_monitors(&mut self, now: Instant) {
        let heartbeats = self.failure_detector.release_monitors();
        self.send_heartbeats(heartbeats, now);
    }

    /// A heartbeat was answered: by a node that monitors us, or will not.
    pub(super) fn heartbeat_answered(&mut self, addr: SocketAddr, monitors: bool, now: Instant) {
        let heartbeats =
            self.failure_detector.heartbeat_answered(addr, monitors, &self.routing, now);
        self.send_heartbeats(heartbeats, now);
    }

    /// A heartbeat was not answered in time.
    pub(super) fn heartbeat_missed(&mut self, addr: SocketAddr, now: Instant) {
        let heartbeats = self.failure_detector.heartbeat_missed(&addr, &self.routing, now);
        self.send_heartbeats(heartbeats, now);
    }

    /// One that may be a monitor of ours is gone.
    pub(super) fn lose_monitor(&mut self, addr: &SocketAddr, now: Instant) {
        let heartbeats = self.failure_detector.monitor_lost(addr, &self.routing, now);
        self.send_heartbeats(heartbeats, now);
    }

    fn send_heartbeats(&mut self, heartbeats: Vec<Heartbeat>, now: Instant) {
        for Heartbeat { to, goes_on } in heartbeats {
            let purpose = if goes_on { Purpose::Heartbeat } else { Purpose::Ping };
            let method = Method::Ping { watch: Some(goes_on) };
            self.query(to.addr, Some(to.id), method, purpose, true, now);
        }
    }

    /// A node asks to be monitored, or not any more. Returns whether we monitor it. `ours` says
    /// that it is a Grape of our kind.
    pub(super) fn on_monitor_request(
        &mut self,
        from: Contact,
        goes_on: bool,
        ours: bool,
        now: Instant,
    ) -> bool {
        if self.publish.is_draining() {
            self.failure_detector.stop_monitoring(&from.addr);
            return false;
        }
        if !goes_on {
            return false;
        }
        let monitored = self.failure_detector.monitor(from, ours, &self.routing, now);
        self.set_check_timer();
        monitored
    }

    /// Asks the monitored nodes that fell silent whether they are there.
    pub(super) fn check_monitored(&mut self, now: Instant) {
        for silent in self.failure_detector.take_silent(&self.routing, now) {
            // Whoever leaves has told the others, and has announced nothing any more.
            let leaves = self.failure_detector.is_leaving(&silent);
            let tell = if leaves { Tell::IfItAnnounced } else { Tell::Always };
            self.probe(silent, MONITORED_TRIES, tell, now);
        }
        self.set_check_timer();
    }

    fn set_check_timer(&mut self) {
        if let Some(next) = self.failure_detector.next_check() {
            self.set_timer(next, Timer::Monitored);
        }
    }
}
