//! Members that do not answer: silence that is a surprise leads to questions, and these to a verdict.
//!
//! Each member asks one other member at each beat, and again if that does not answer. If the silence
//! is also unusually long, the member asks others to check for themselves; these pass the request on
//! once they get no answer either. No member counts as failed because another one says so: each
//! member asks until enough questions are unanswered.

use std::net::SocketAddr;
use std::time::Duration;

use super::context::Context;
use super::events::GossipEvent;
use super::group::{Group, Lists};
use super::limits::Priority;
use super::message::{ENOUGH, Kind, Suspect};

/// φ from which a silent member is asked, whether or not it is its turn: one in a thousand silences
/// is as long.
const ASK_AT: f64 = 3.0;
/// φ from which others are asked to look for a member that did not answer three questions: one in
/// three silences is as long.
const SUSPECT_AT: f64 = 0.5;
/// Most members that are asked for their silence at a beat.
const MOST_ASKED: usize = 2;
/// A member that was heard within this is not asked for another member's suspicion.
const HEARD_LATELY: Duration = Duration::from_millis(300);

impl Group {
    /// Asks an address whether a member is there, in as few bytes as can be.
    pub(super) fn ask(&self, cx: &mut Context<'_>, to: SocketAddr) {
        let lists = Lists { known: ENOUGH, ..Lists::default() };
        self.send(cx, to, Kind::Syn, lists, Priority::Life);
    }

    /// Asks those again that have not answered.
    pub(super) fn ask_again(&mut self, cx: &mut Context<'_>) {
        let members = &self.members;
        let heard_of = |addr: &SocketAddr| {
            members.get(addr).filter(|member| member.live).map(|member| member.heartbeat)
        };
        for due in self.probes.due(cx.now, heard_of) {
            if due.failed {
                self.fail(cx, due.addr);
                continue;
            }
            let Some(member) = self.members.get(&due.addr) else { continue };
            if let Some(heartbeat) = due.suspect
                && (due.confirmed || member.phi.value(cx.now) >= SUSPECT_AT)
            {
                let (addr, generation) = (due.addr, member.generation);
                self.fresh.suspect(Suspect { addr, generation, heartbeat }, self.members.live());
                self.probes.reported(&addr);
            }
            self.ask(cx, due.addr);
        }
    }

    /// Asks the next members whose silence is a surprise.
    pub(super) fn judge(&mut self, cx: &mut Context<'_>) {
        let now = cx.now;
        let silent = self.members.next_judged().filter(|(_, m)| m.phi.value(now) >= ASK_AT);
        let silent = silent.take(MOST_ASKED).map(|(addr, member)| (*addr, member.heartbeat));
        let silent: Vec<_> = silent.collect();
        for (addr, heartbeat) in silent {
            if self.probes.begin(addr, heartbeat, now) {
                self.ask(cx, addr);
            }
        }
    }

    /// Another member got no answer from one.
    pub(super) fn suspected(&mut self, cx: &mut Context<'_>, from: SocketAddr, suspect: &Suspect) {
        let Some(addr) = cx.admit(suspect.addr, from) else { return };
        let Some(member) = self.members.live_of(&addr, suspect.generation) else { return };
        if member.silence(cx.now) < HEARD_LATELY {
            return;
        }
        if self.probes.begin(addr, member.heartbeat, cx.now) {
            self.ask(cx, addr);
        }
        self.probes.suspect(&addr, suspect.heartbeat);
    }

    fn fail(&mut self, cx: &mut Context<'_>, peer: SocketAddr) {
        self.probes.end(&peer);
        self.fresh.forget(&peer);
        if self.members.fail(&peer, cx.now) {
            self.event(cx, GossipEvent::PeerFailed { peer });
        }
    }
}
