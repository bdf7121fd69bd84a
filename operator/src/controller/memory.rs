//! What the operator remembers of each GrapeCluster between two reconciliations. Nothing of it has
//! to outlive the process: a new one finds out again.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::observe::Observation;
use crate::observe::band::P95Band;
use crate::observe::topology::Topology;
use crate::observe::window::Window;

/// How many canaries it takes for another band of latencies to be shown: of fewer, 95 of 100 are
/// all.
const ENOUGH: usize = 20;

/// The memory of all clusters, by the uid of each.
#[derive(Clone, Default)]
pub struct Memory(Arc<Mutex<HashMap<String, Remembered>>>);

/// What is remembered of one cluster.
#[derive(Default)]
pub struct Remembered {
    /// What was applied, by kind and name.
    pub applied: BTreeMap<(String, String), Stamp>,
    /// Whether it is known to have no ServiceMonitor.
    pub no_monitor: bool,
    /// Reconciliations that failed since the last one that did not.
    pub failures: usize,
    /// What was seen of its Grapes.
    pub seen: Seen,
}

/// An object as it was when it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// A hash of what was sent.
    pub sent: u64,
    /// The resourceVersion that came of it.
    pub version: Option<String>,
}

/// What was seen of a cluster's Grapes.
#[derive(Default)]
pub struct Seen {
    /// How many looks were begun.
    pub rounds: u64,
    /// When the look was begun that goes on.
    pub looking: Option<Instant>,
    /// The mark of its pods, and since when it is that.
    pub mark: Option<(u64, Instant)>,
    /// The last look.
    pub last: Option<Observation>,
    /// What is shown of who sees whom: an odd look shows after a second one like it.
    pub shown: Option<Topology>,
    /// Odd looks in a row.
    pub odd: usize,
    /// The canaries of the last ones.
    pub window: Window,
    /// The band of latencies that is shown.
    pub band: Option<P95Band>,
}

impl Seen {
    /// Takes in a look that has ended.
    ///
    /// A Grape takes another for lost, for a moment, when one datagram was: what is told of the
    /// cluster does not follow that.
    pub fn take(&mut self, look: Observation, now: Instant) {
        self.looking = None;
        self.odd = if is_odd(&look.topology) { self.odd + 1 } else { 0 };
        if self.odd != 1 || self.shown.is_none() {
            self.shown = Some(look.topology.clone());
        }
        self.window.record(look.probes.clone(), now);
        // Of few, the slowest would tell alone.
        let enough = self.band.is_none() || self.window.probes() >= ENOUGH;
        self.band = P95Band::follow(self.band, self.window.p95().filter(|_| enough));
        self.last = Some(look);
    }

    /// Forgets what was seen: it was of Grapes that are no more.
    pub fn forget(&mut self) {
        let Self { rounds, looking, mark, .. } = *self;
        *self = Self { rounds, looking, mark, ..Self::default() };
    }
}

fn is_odd(topology: &Topology) -> bool {
    topology.is_partitioned()
        || !topology.unreachable.is_empty()
        || !topology.sees_too_few.is_empty()
}

impl Memory {
    /// Works on what is remembered of the cluster with this uid.
    pub fn of<T>(&self, uid: &str, work: impl FnOnce(&mut Remembered) -> T) -> T {
        work(self.all().entry(uid.to_owned()).or_default())
    }

    /// Works on it, if anything is remembered.
    pub fn known<T>(&self, uid: &str, work: impl FnOnce(&mut Remembered) -> T) -> Option<T> {
        self.all().get_mut(uid).map(work)
    }

    /// Forgets a cluster that is gone.
    pub fn forget(&self, uid: &str) {
        self.all().remove(uid);
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Remembered>> {
        // No work on it leaves it half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::observe::canary::{Outcome, Probe};
    use crate::observe::topology::View;

    /// A look at two Grapes that see each other, or not.
    fn look(together: bool) -> Observation {
        let addresses = ["10.0.0.1:1", "10.0.0.2:1"].map(|address| address.parse().unwrap());
        let view = |own: usize| View {
            name: format!("market-default-{own}"),
            address: addresses[own],
            live: Ok(if together { vec![addresses[1 - own]] } else { Vec::new() }),
        };
        Observation {
            at: grape::clock::now(),
            topology: Topology::of(&[view(0), view(1)]),
            answers: BTreeMap::new(),
            probes: Vec::new(),
        }
    }

    #[test]
    fn one_odd_look_is_not_shown() {
        let mut seen = Seen::default();
        let islands = |seen: &Seen| seen.shown.as_ref().map(|it| it.islands.len());
        let now = grape::clock::now();
        for (together, shown) in
            [(true, 1), (false, 1), (true, 1), (false, 1), (false, 2), (true, 1)]
        {
            seen.take(look(together), now);
            assert_eq!(islands(&seen), Some(shown));
        }
    }

    #[test]
    fn one_slow_canary_of_few_shows_no_other_band() {
        let now = grape::clock::now();
        let probe = |ms| Probe {
            announcer: String::new(),
            looker: String::new(),
            begun: now,
            outcome: Outcome::Found(Duration::from_millis(ms)),
        };
        let mut seen =
            Seen { band: Some(P95Band::of(Duration::from_millis(2))), ..Seen::default() };
        let limits = (0..20).map(|_| {
            seen.take(Observation { probes: vec![probe(40)], ..look(true) }, now);
            seen.band.map(|band| band.limit().as_millis())
        });
        let limits: Vec<_> = limits.collect();
        assert_eq!(limits[..19], [Some(2); 19]);
        assert_eq!(limits[19], Some(50));
    }

    #[test]
    fn the_first_look_is_shown_whatever_it_is() {
        let mut seen = Seen::default();
        seen.take(look(false), grape::clock::now());
        assert_eq!(seen.shown.unwrap().islands.len(), 2);
    }
}
