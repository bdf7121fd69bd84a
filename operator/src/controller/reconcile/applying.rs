//! What a reconciliation writes: a cluster's objects, and evictions of pods without their Grape.

use std::time::Duration;

use grape::clock;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{Reconciler, Subject};
use crate::controller::actual_state::ActualState;
use crate::controller::apply::Applier;
use crate::controller::blocked::{self, Blocked};
use crate::controller::error::Error;
use crate::controller::objects::{Applied, ApplyContext};
use crate::controller::rollout::{self, Lookups, Phase, Plan, Strategy};
use crate::controller::sidecars::evict::try_evict;
use crate::controller::sidecars::member::Member;
use crate::controller::sidecars::repair::{Repair, RepairProgress, Step, Tried};
use crate::desired::Desired;

impl Reconciler {
    /// Puts the objects as they should be, as far as the plan allows it now.
    pub(super) async fn apply(
        &self,
        subject: &Subject<'_>,
        desired: &mut Desired,
        actual: &ActualState,
        plan: &Plan,
        lookups: Lookups,
    ) -> Result<Applied, Error> {
        for pool in &mut desired.pools {
            match plan.strategies.get(&pool.pool) {
                Some(Strategy::Partition(partition)) => pool.set_partition(*partition),
                Some(Strategy::OnDelete) => pool.set_on_delete(),
                None => {}
            }
            let actual = actual.pools.iter().find(|actual| actual.name == pool.pool);
            let mark = actual.and_then(|actual| {
                let now = clock::now();
                let uid = &subject.owner.uid;
                self.states.of(uid, |state| state.missing.mark(actual, now, Timestamp::now()))
            });
            if let Some(mark) = mark {
                pool.mark_retried(mark);
            }
        }
        let context = ApplyContext {
            client: &self.client,
            stores: &self.stores,
            namespace: &subject.namespace,
            applier: Applier { owner: &subject.owner, states: &self.states },
        };
        let applied = context.apply(desired).await?;
        if let Some(pod) = plan.delete.as_ref().and_then(|name| actual.pods.get(name)) {
            context.replace(pod).await?;
        }
        let ready = actual.pools.iter().all(rollout::Pool::is_ready);
        if ready && plan.phase == Phase::Settled && lookups == Lookups::Healthy {
            for set in &actual.leaving_sets {
                context.remove(set).await?;
                self.events.pool_removed(subject.cluster, &set.name_any()).await;
            }
        }
        Ok(applied)
    }

    /// Why pods are not made that were to be made long ago.
    pub(super) async fn blocked(
        &self,
        subject: &Subject<'_>,
        desired: &Desired,
        actual: &ActualState,
    ) -> Vec<Blocked> {
        let (uid, now) = (&subject.owner.uid, clock::now());
        let late = self.states.of(uid, |state| {
            let late = state.missing.late(&actual.pools);
            state.blocked.retain(|set| late.iter().any(|pool| pool.set_name == set));
            late
        });
        for pool in late {
            let name = &pool.set_name;
            let actual = self.stores.sets.get(&ObjectRef::new(name).within(&subject.namespace));
            let set_uid = actual.and_then(|set| set.uid());
            let mut wanted = desired.pools.iter().map(|wanted| &wanted.set);
            let set = wanted.find(|set| set.name_any() == *name).zip(set_uid.as_deref());
            let (due, before) = self
                .states
                .of(uid, |state| (state.blocked.is_due(name, now), state.blocked.last(name)));
            if let Some(set) = set.filter(|_| due) {
                let found = blocked::probe(&self.once, set, pool, before.as_ref()).await;
                self.states.of(uid, |state| state.blocked.note(name, found, now));
            }
        }
        self.states.of(uid, |state| state.blocked.all())
    }

    /// Evicts a pod without its Grape where that is asked for, and it is time for one. How it goes,
    /// and in how long to see again.
    pub(super) async fn repair(
        &self,
        subject: &Subject<'_>,
        members: &[Member],
        now: Timestamp,
    ) -> (Option<RepairProgress>, Option<Duration>) {
        let Subject { cluster, valid, owner, .. } = subject;
        if !valid.injection.repair {
            // Asked for again, it begins anew.
            self.states.of(&owner.uid, |state| state.repair = Repair::default());
            return (None, None);
        }
        if valid.paused {
            return (Some(RepairProgress::default()), None);
        }
        let before = cluster.status.as_ref().and_then(|status| status.injected.as_ref());
        let failed_attempts = before.map(|before| &before.repair_failures[..]).unwrap_or_default();
        let (step, unreported) = self.states.of(&owner.uid, |state| {
            state.repair.resume(failed_attempts);
            state.repair.next(members, now)
        });
        for controller in unreported {
            self.events.repair_failed(cluster, &controller).await;
        }
        let wait = match step {
            Step::Rest => None,
            Step::Wait(time) => Some(time),
            Step::Evict(pod) => {
                let own = members.iter().find(|member| member.pod.uid == pod.uid);
                let lack = own.and_then(|member| member.lack);
                let tried = try_evict(&self.once, &pod, lack).await;
                if tried == Tried::Evicted {
                    self.events.repaired(cluster, &pod.title()).await;
                }
                self.states.of(&owner.uid, |state| {
                    state.repair.tried(&pod, tried, members, now);
                    // Another one may be next.
                    match state.repair.next(members, now).0 {
                        Step::Rest => None,
                        Step::Wait(time) => Some(time),
                        Step::Evict(_) => Some(Duration::ZERO),
                    }
                })
            }
        };
        let progress = self.states.of(&owner.uid, |state| state.repair.progress(members));
        (Some(progress), wait)
    }
}
