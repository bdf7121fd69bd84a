//! The pools and pods of a cluster as they are, from the watched copies.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use grape_cluster::validate::ValidatedCluster;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::StatefulSet;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::grapes;
use super::rollout::{Pool, Set, Strategy};
use super::stores::{Stores, controlled_by};
use crate::desired::statefulset::{ON_DELETE, TEMPLATE_HASH};
use crate::desired::{Desired, PoolSet, labels};
use crate::observe::Target;

/// What there is of a cluster's Grapes.
pub struct ActualState {
    /// Its pools, in the order of the spec.
    pub pools: Vec<Pool>,
    /// Pools that it has no more in its spec.
    pub leaving: Vec<Pool>,
    /// Their StatefulSets.
    pub leaving_sets: Vec<Arc<StatefulSet>>,
    /// All pods of the cluster, by name.
    pub pods: BTreeMap<String, Arc<Pod>>,
}

impl ActualState {
    /// What there is now of the cluster with the uid `owner`.
    pub fn read(
        stores: &Stores,
        owner: &str,
        namespace: &str,
        desired: &Desired,
        now: Timestamp,
    ) -> Self {
        let sets = controlled_by(&stores.sets, owner);
        let is_wanted = |name: &str| desired.pools.iter().any(|pool| pool.set.name_any() == name);
        let set_called = |name: &str| stores.sets.get(&ObjectRef::new(name).within(namespace));
        // Another cluster may have come to a name before this one.
        let is_others =
            |name: &str| set_called(name).is_some_and(|set| controlled_by_another(&set, owner));
        let mut leaving_sets: Vec<_> =
            sets.iter().filter(|set| !is_wanted(&set.name_any())).cloned().collect();
        leaving_sets.sort_by_key(|set| set.name_any());
        let names: Vec<_> = desired
            .pools
            .iter()
            .map(|pool| pool.set.name_any())
            .filter(|name| !is_others(name))
            .chain(leaving_sets.iter().map(|set| set.name_any()))
            .collect();
        let pods = stores.pods.state_filter(|pod| {
            pod.metadata.namespace.as_deref() == Some(namespace) && belongs(pod, &names)
        });
        let pods: BTreeMap<_, _> = pods.into_iter().map(|pod| (pod.name_any(), pod)).collect();
        let wanted = |wanted: &PoolSet| {
            let name = wanted.set.name_any();
            let live = set_called(&name).filter(|_| !is_others(&name));
            // A StatefulSet that is being deleted is about to be recreated.
            let live = live.filter(|set| set.metadata.deletion_timestamp.is_none());
            let set = live.map(|live| set(&live, hash_of(&wanted.set)));
            pool(&wanted.pool, name, wanted.replicas, set, &pods, now)
        };
        let gone = |set: &Arc<StatefulSet>| {
            let label = set.labels().get(labels::POOL).cloned();
            let name = set.name_any();
            pool(&label.unwrap_or_else(|| name.clone()), name, 0, None, &pods, now)
        };
        Self {
            pools: desired.pools.iter().map(wanted).collect(),
            leaving: leaving_sets.iter().map(gone).collect(),
            leaving_sets,
            pods,
        }
    }

    /// The names of the pods that the spec wants, whether they are there or not.
    pub fn wanted(&self) -> BTreeSet<String> {
        let of = |pool: &Pool| (0..pool.desired).map(|at| pool.pod_name(at)).collect::<Vec<_>>();
        self.pools.iter().flat_map(of).collect()
    }

    /// Where the Grapes are that should answer: those of pods that are ready.
    pub fn targets(&self, cluster: &ValidatedCluster) -> Vec<Target> {
        let targets = self.pods.values().filter_map(|pod| grapes::target(pod, cluster));
        targets.filter(|target| target.ready).collect()
    }

    /// Where the Grapes are that run, and are not ready; and for how long.
    pub fn newcomers(
        &self,
        cluster: &ValidatedCluster,
        now: Timestamp,
    ) -> Vec<(Target, SignedDuration)> {
        let newcomer = |pod: &Arc<Pod>| {
            let since = grapes::newcomer(pod, now)?;
            Some((grapes::target(pod, cluster)?, since))
        };
        self.pods.values().filter_map(newcomer).collect()
    }

    /// A mark that changes when a Grape becomes ready or ceases to be, or another takes its place.
    pub fn mark(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for pod in self.pods.values() {
            (pod.uid(), grapes::is_ready(pod)).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn controlled_by_another(set: &StatefulSet, owner: &str) -> bool {
    set.owner_references().iter().any(|by| by.controller == Some(true) && by.uid != owner)
}

fn belongs(pod: &Pod, sets: &[String]) -> bool {
    pod.owner_references().iter().any(|by| {
        by.controller == Some(true) && by.kind == "StatefulSet" && sets.contains(&by.name)
    })
}

fn pool(
    name: &str,
    set_name: String,
    desired: i32,
    set: Option<Set>,
    pods: &BTreeMap<String, Arc<Pod>>,
    now: Timestamp,
) -> Pool {
    let prefix = format!("{set_name}-");
    let own = pods.values().filter(|pod| {
        pod.name_any().strip_prefix(&prefix).is_some_and(|rest| rest.parse::<u32>().is_ok())
    });
    let grapes = own.filter_map(|pod| Some((grapes::ordinal(pod)?, grapes::grape(pod, now))));
    Pool {
        name: name.to_owned(),
        desired,
        set,
        grapes: grapes.collect(),
        // Filled in by `missing.rs`, which remembers since when.
        absent: BTreeMap::new(),
        set_name,
    }
}

fn hash_of(set: &StatefulSet) -> Option<&String> {
    set.annotations().get(TEMPLATE_HASH)
}

fn set(live: &StatefulSet, wanted: Option<&String>) -> Set {
    let spec = live.spec.as_ref();
    let status = live.status.as_ref();
    let revision = |of: Option<&String>| of.cloned().unwrap_or_default();
    let strategy = spec.and_then(|spec| spec.update_strategy.as_ref());
    let rolling = strategy.and_then(|strategy| strategy.rolling_update.as_ref());
    let on_delete = strategy.is_some_and(|it| it.type_.as_deref() == Some(ON_DELETE));
    Set {
        template_is_current: hash_of(live) == wanted,
        observed: status.and_then(|status| status.observed_generation) == live.metadata.generation,
        replicas: spec.and_then(|spec| spec.replicas).unwrap_or(1),
        strategy: match on_delete {
            true => Strategy::OnDelete,
            false => Strategy::Partition(rolling.and_then(|it| it.partition).unwrap_or_default()),
        },
        current_revision: revision(status.and_then(|status| status.current_revision.as_ref())),
        update_revision: revision(status.and_then(|status| status.update_revision.as_ref())),
    }
}
