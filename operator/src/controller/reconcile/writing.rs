//! What a reconciliation writes: a cluster's objects, and evictions of pods without their Grape.

use std::time::Duration;

use grape::clock;
use jiff::Timestamp;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;

use super::{Reconciler, Subject};
use crate::controller::apply::Applier;
use crate::controller::blocked::{self, Blocked};
use crate::controller::error::Error;
use crate::controller::live::Live;
use crate::controller::objects::{Applied, Place};
use crate::controller::roll::{self, Lookups, Phase, Plan, Strategy};
use crate::controller::sidecars::evict::try_evict;
use crate::controller::sidecars::member::Member;
use crate::controller::sidecars::repair::{Course, Repair, Step, Tried};
use crate::desired::Desired;

impl Reconciler {
    /// Puts the objects as they should be, as far as the plan allows it now.
    pub(super) async fn apply(
        &self,
        subject: &Subject<'_>,
        desired: &mut Desired,
        live: &Live,
        plan: &Plan,
        lookups: Lookups,
    ) -> Result<Applied, Error> {
        for pool in &mut desired.pools {
            match plan.strategies.get(&pool.pool) {
                Some(Strategy::Partition(partition)) => pool.set_partition(*partition),
                Some(Strategy::OnDelete) => pool.set_on_delete(),
                None => {}
            }
            let live = live.pools.iter().find(|live| live.name == pool.pool);
            let mark = live.and_then(|live| {
                let now = clock::now();
                let uid = &subject.owner.uid;
                self.memory.of(uid, |memory| memory.missing.mark(live, now, Timestamp::now()))
            });
            if let Some(mark) = mark {
                pool.mark_retried(mark);
            }
        }
        let place = Place {
            client: &self.client,
            stores: &self.stores,
            namespace: &subject.namespace,
            applier: Applier { owner: &subject.owner, memory: &self.memory },
        };
        let applied = place.apply(desired).await?;
        if let Some(pod) = plan.delete.as_ref().and_then(|name| live.pods.get(name)) {
            place.replace(pod).await?;
        }
        let ready = live.pools.iter().all(roll::Pool::is_ready);
        if ready && plan.phase == Phase::Settled && lookups == Lookups::Healthy {
            for set in &live.leaving_sets {
                place.remove(set).await?;
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
        live: &Live,
    ) -> Vec<Blocked> {
        let (uid, now) = (&subject.owner.uid, clock::now());
        let late = self.memory.of(uid, |memory| {
            let late = memory.missing.late(&live.pools);
            memory.blocked.retain(|set| late.iter().any(|pool| pool.set_name == set));
            late
        });
        for pool in late {
            let name = &pool.set_name;
            let live = self.stores.sets.get(&ObjectRef::new(name).within(&subject.namespace));
            let set_uid = live.and_then(|set| set.uid());
            let mut wanted = desired.pools.iter().map(|wanted| &wanted.set);
            let set = wanted.find(|set| set.name_any() == *name).zip(set_uid.as_deref());
            let (due, before) = self
                .memory
                .of(uid, |memory| (memory.blocked.is_due(name, now), memory.blocked.last(name)));
            if let Some(set) = set.filter(|_| due) {
                let found = blocked::look(&self.once, set, pool, before.as_ref()).await;
                self.memory.of(uid, |memory| memory.blocked.note(name, found, now));
            }
        }
        self.memory.of(uid, |memory| memory.blocked.all())
    }

    /// Evicts a pod without its Grape where that is asked for, and it is time for one. How it goes,
    /// and in how long to see again.
    pub(super) async fn repair(
        &self,
        subject: &Subject<'_>,
        members: &[Member],
        now: Timestamp,
    ) -> (Option<Course>, Option<Duration>) {
        let Subject { cluster, valid, owner, .. } = subject;
        if !valid.injection.repair {
            // Asked for again, it begins anew.
            self.memory.of(&owner.uid, |memory| memory.repair = Repair::default());
            return (None, None);
        }
        if valid.paused {
            return (Some(Course::default()), None);
        }
        let before = cluster.status.as_ref().and_then(|status| status.injected.as_ref());
        let in_vain = before.map(|before| &before.repair_failures[..]).unwrap_or_default();
        let (step, news) = self.memory.of(&owner.uid, |memory| {
            memory.repair.resume(in_vain);
            memory.repair.next(members, now)
        });
        for controller in news {
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
                self.memory.of(&owner.uid, |memory| {
                    memory.repair.tried(&pod, tried, members, now);
                    // Another one may be next.
                    match memory.repair.next(members, now).0 {
                        Step::Rest => None,
                        Step::Wait(time) => Some(time),
                        Step::Evict(_) => Some(Duration::ZERO),
                    }
                })
            }
        };
        let course = self.memory.of(&owner.uid, |memory| memory.repair.course(members));
        (Some(course), wait)
    }
}
