//! Grapes of services that are not where they should be.

use std::collections::{BTreeMap, BTreeSet};

use crate::observe::sidecars::SidecarConnection;

/// The Grapes of services that were not as they should be when they were last asked, by their pods'
/// names.
#[derive(Clone, Default)]
pub(super) struct OddSidecars(BTreeMap<String, OddSidecar>);

/// A Grape of a service that was not as it should be.
#[derive(Clone)]
struct OddSidecar {
    connection: SidecarConnection,
    /// Whether its bootstrap name does not resolve.
    unresolved: bool,
    /// How many times in a row it was odd.
    times: usize,
}

/// Grapes of services that are not connected with the cluster. Shown after a second odd probe in a
/// row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connectivity {
    /// Pods whose Grapes are not connected with the cluster's own.
    pub disconnected: Vec<String>,
    /// Pods whose Grapes do not answer, and which no Grape knows.
    pub silent: Vec<String>,
    /// Pods in which the Grape's bootstrap name does not resolve, whether the Grape is connected in
    /// another way or not.
    pub unresolved: Vec<String>,
}

impl OddSidecars {
    /// Takes in how the Grapes of services are connected, and for which of them the bootstrap name
    /// did not resolve.
    pub(super) fn take(
        &mut self,
        connections: &BTreeMap<String, SidecarConnection>,
        unresolved: &BTreeSet<String>,
    ) {
        for (name, connection) in connections {
            let times = self.0.remove(name).map_or(0, |before| before.times) + 1;
            let unresolved = unresolved.contains(name);
            if *connection != SidecarConnection::Joined || unresolved {
                let odd = OddSidecar { connection: connection.clone(), unresolved, times };
                self.0.insert(name.clone(), odd);
            }
        }
    }

    /// Forgets those that are not among `present` any more. Returns the rest.
    pub(super) fn keep(&mut self, present: &BTreeSet<&str>) -> BTreeSet<String> {
        self.0.retain(|name, _| present.contains(&**name));
        self.0.keys().cloned().collect()
    }

    /// Those that were odd twice in a row.
    pub(super) fn connectivity(&self) -> Connectivity {
        let mut connectivity = Connectivity::default();
        for (name, odd) in self.0.iter().filter(|(_, odd)| odd.times > 1) {
            match odd.connection {
                SidecarConnection::Disconnected => connectivity.disconnected.push(name.clone()),
                SidecarConnection::Silent(_) => connectivity.silent.push(name.clone()),
                SidecarConnection::Joined => {}
            }
            if odd.unresolved {
                connectivity.unresolved.push(name.clone());
            }
        }
        connectivity
    }
}
