//! One reconciliation of one cluster: validate → build → apply → observe → report.
//!
//! It starts from what is there, and remembers nothing that it could not find out again, so that it
//! may end at any point.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{BoxFuture, Shared};
use grape::clock;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::controller::Action;
use kube::runtime::reflector::ObjectRef;
use kube::runtime::watcher::Event;
use kube::{Client, Resource, ResourceExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::apply::Applier;
use super::blocked::{self, Blocked};
use super::census::{Census, Name};
use super::error::Error;
use super::events::Events;
use super::live::Live;
use super::memory::{Memory, Written};
use super::objects::{Applied, Place};
use super::queue::Queue;
use super::refused::News;
use super::report::{self, Facts, Services};
use super::roll::{self, Lookups, Phase, Plan, Strategy};
use super::seen::Due;
use super::sidecars::Sidecars;
use super::sidecars::evict::try_evict;
use super::sidecars::member::Member;
use super::sidecars::repair::{Course, Repair, Step, Tried};
use super::sidecars::tally::Tally;
use super::stores::{Stored, Stores};
use super::write;
use crate::cluster::{GrapeCluster, GrapeClusterStatus, limits};
use crate::desired::{Desired, Surroundings, desired, image, names};
use crate::metrics::{Health, Metrics, Outcome};
use crate::observe::guests::{self, Guest};
use crate::observe::{Observer, Seat};
use crate::validate::{ValidatedCluster, validate};

/// How soon a cluster whose objects are refused is tried again: what refuses them, such as a quota,
/// may change without a sign.
pub(super) const REFUSED: Duration = Duration::from_secs(10);
/// How often a cluster is looked at while its Grapes are replaced.
const ROLLING: Duration = Duration::from_secs(1);
/// How soon a cluster is reconciled again whose StatefulSet was changed, if its watch does not tell
/// of it before.
const TOLD: Duration = Duration::from_secs(1);
/// How often it is looked at while it is not well, at most.
const UNWELL: Duration = Duration::from_secs(5);

/// How often Grapes that have started lately are introduced to others, until they are ready …
const WELCOME: Duration = Duration::from_secs(1);
/// … and such as started longer ago than [`YOUNG`].
const WELCOME_AGAIN: Duration = Duration::from_secs(15);
const YOUNG: SignedDuration = SignedDuration::from_secs(60);

/// How often a cluster is reconciled that has no Grape to look at: that one does not start shows by
/// the time that it takes.
const STARTING: Duration = Duration::from_secs(30);

/// What all reconciliations in one namespace, or in all, share.
pub struct Reconciler {
    /// The way to the API server.
    pub client: Client,
    /// The same, but that nothing is tried again.
    pub once: Client,
    /// What is watched.
    pub stores: Stores,
    /// The pods of services, of all namespaces that are watched.
    pub sidecars: Sidecars,
    /// Completes when the copies of that are whole. It is one future for all reconciliations: of
    /// several that wait for a copy by themselves only the last is woken.
    pub whole: Shared<BoxFuture<'static, bool>>,
    /// What is remembered.
    pub memory: Memory,
    /// Which clusters there are.
    pub census: Mutex<Census>,
    /// Who waits.
    pub queue: Queue,
    /// Looks at Grapes.
    pub observer: Observer,
    /// Where events go.
    pub events: Events,
    /// Where figures go.
    pub metrics: Arc<Metrics>,
    /// Tells that a look at a cluster has ended.
    pub looked: mpsc::UnboundedSender<ObjectRef<Stored>>,
    /// What the operator was started with.
    pub settings: Settings,
    /// Ends reconciliations that have not begun.
    pub stop: CancellationToken,
}

/// What the operator was started with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The image of Grapes where a cluster names none.
    pub grape_image: String,
    /// The operator's own namespace.
    pub namespace: String,
    /// How often a cluster at rest is looked at.
    pub observe_interval: Duration,
}

/// Reconciles a cluster. It is named by what is watched; see [`Stored`].
///
/// # Errors
/// What keeps it from its end for now: it is tried again.
pub async fn reconcile(stored: Arc<Stored>, reconciler: Arc<Reconciler>) -> Result<Action, Error> {
    // What is not yet known to be there is not missing.
    tokio::select! {
        _ = reconciler.whole.clone() => {}
        () = reconciler.stop.cancelled() => return Ok(Action::await_change()),
    }
    let at_work = reconciler.queue.begin(&ObjectRef::from_obj(&*stored));
    let begun = clock::now();
    let result = reconciler.reconcile(&stored).await;
    let outcome = match &result {
        Ok((_, outcome)) => *outcome,
        Err(_) => Outcome::Error,
    };
    reconciler.metrics.reconciled(outcome, clock::now().duration_since(begun));
    drop(at_work);
    let uid = stored.meta().uid.as_deref().unwrap_or_default();
    if result.is_ok() {
        reconciler.memory.known(uid, |memory| memory.failures = 0);
    }
    if !reconciler.census().knows(uid) {
        // It went meanwhile, and was forgotten before.
        reconciler.memory.forget(uid);
        return Ok(Action::await_change());
    }
    result.map(|(action, _)| action)
}

/// A cluster that can run, and all that says which one it is.
struct Subject<'a> {
    cluster: &'a GrapeCluster,
    valid: Arc<ValidatedCluster>,
    namespace: String,
    owner: OwnerReference,
    image: String,
}

impl Reconciler {
    /// Takes note of what is told of clusters: that one waits, or is gone, and all that is known of
    /// it with it.
    pub fn noted(&self, event: &Event<Stored>) {
        if let Event::Apply(cluster) | Event::InitApply(cluster) = event {
            self.queue.join(ObjectRef::from_obj(cluster));
        }
        for Name { uid, namespace, name } in self.census().note(event) {
            self.queue.leave(&ObjectRef::new(&name).within(&namespace));
            self.metrics.forget(&namespace, &name);
            self.memory.forget(&uid);
            self.events.forget(&uid);
        }
    }

    /// Whether any reconciliation can have begun: all clusters were listed once.
    pub fn has_begun(&self) -> bool {
        self.census().is_whole()
    }

    fn census(&self) -> MutexGuard<'_, Census> {
        self.census.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn reconcile(&self, stored: &Stored) -> Result<(Action, Outcome), Error> {
        // What is deleted goes with its owner: there is nothing to do.
        let rest = (Action::await_change(), Outcome::Ok);
        if stored.meta().deletion_timestamp.is_some() {
            return Ok(rest);
        }
        let now = Timestamp::now();
        let cluster = match &stored.0 {
            Ok(cluster) => self.memory.caught_up(cluster),
            Err(unreadable) => {
                self.events.unreadable(stored, &unreadable.error).await;
                return Ok((Action::await_change(), Outcome::Invalid));
            }
        };
        let cluster = &*cluster;
        let (Some(namespace), Some(owner)) =
            (cluster.namespace(), cluster.controller_owner_ref(&()))
        else {
            return Ok(rest);
        };
        let valid = match validate(cluster) {
            Ok(valid) => Arc::new(valid),
            Err(invalid) => {
                let before = cluster.status.as_ref();
                let generation = cluster.metadata.generation;
                let status = report::invalid(&invalid, before, generation, now);
                self.report(cluster, status).await?;
                return Ok((Action::await_change(), Outcome::Invalid));
            }
        };
        // A deletion in the foreground waits for the objects.
        let owner = OwnerReference { block_owner_deletion: Some(true), ..owner };
        let image = image::resolve(&valid.image, &self.settings.grape_image);
        let subject = Subject { cluster, valid, namespace, owner, image };
        self.reconcile_valid(&subject, now).await
    }

    async fn reconcile_valid(
        &self,
        subject: &Subject<'_>,
        now: Timestamp,
    ) -> Result<(Action, Outcome), Error> {
        let Subject { cluster, valid, namespace, owner, image } = subject;
        let around = Surroundings {
            namespace: namespace.clone(),
            owner: owner.clone(),
            grape_image: self.settings.grape_image.clone(),
            operator_namespace: self.settings.namespace.clone(),
        };
        let mut desired = desired(valid, &around);
        let mut live = Live::now(&self.stores, &owner.uid, namespace, &desired, now);
        self.memory.of(&owner.uid, |memory| {
            memory.failing.settle(&mut live.pools);
            let was_late = cluster.status.as_ref().is_some_and(report::is_blocked);
            memory.missing.note(&mut live.pools, clock::now(), was_late);
        });
        let blocked = self.blocked(subject, &desired, &live).await;
        let missing_in = self.memory.of(&owner.uid, |memory| memory.missing.next(clock::now()));
        let seats = live.seats(valid);
        let lookups = self.memory.of(&owner.uid, |memory| {
            memory.seen.resume(cluster.status.as_ref().and_then(report::band));
            if seats.is_empty() {
                memory.seen.forget();
            }
            memory.seen.lookups(live.mark(), clock::now())
        });
        let plan = roll::plan(&live.pools, lookups);

        let applied = match valid.paused {
            true => Ok(Applied::default()),
            false => self.apply(subject, &mut desired, &live, &plan, lookups).await,
        };
        let (trouble, applied) = match applied {
            Ok(applied) => (None, applied),
            Err(error) if error.is_lasting() => (Some(error), Applied::default()),
            Err(error) => return Err(error),
        };
        self.events.applied(cluster, &applied).await;

        let made = cluster.creation_timestamp().map(|time| time.0);
        let members = self.sidecars.of(namespace, (valid, made), &self.settings.grape_image);
        let (course, repair_in) = match &members {
            Some(members) => self.repair(subject, members, now).await,
            None => (None, None),
        };
        let all_guests = guests_of(subject, members.as_deref().unwrap_or_default());
        let welcome_in =
            self.welcome(subject, &live, (&seats, &all_guests), members.as_deref(), now);
        let guests = self.guests(subject, all_guests);

        let unseen = !seats.is_empty();
        // What a StatefulSet is after a change, its watch tells at once: to write the status before that
        // would be to write it twice. Where the watch is late, it is written without.
        let waits = self.memory.of(&owner.uid, |memory| {
            memory.waits = applied.changed && !memory.waits;
            memory.waits
        });
        let told = self.memory.of(&owner.uid, |memory| {
            if unseen && memory.seen.is_new() && trouble.is_none() {
                // What was seen before this process began stands until it has looked itself.
                return None;
            }
            let services = members.as_deref().map(|members| Services {
                tally: Tally::of(members, image),
                strays: memory.seen.strays(),
                repair: course,
            });
            let facts = Facts {
                cluster: valid,
                namespace,
                generation: cluster.metadata.generation,
                image,
                pools: &live.pools,
                leaving: &live.leaving,
                phase: &plan.phase,
                sight: memory.seen.sight(),
                trouble: trouble.as_ref(),
                blocked: &blocked,
                services: services.as_ref(),
            };
            let status = report::status(&facts, cluster.status.as_ref(), now);
            let health = report::health(&facts, &status, &memory.seen.window);
            let tally = services.map(|services| services.tally).unwrap_or_default();
            Some((status, health, tally))
        });
        let well = told.as_ref().is_some_and(|(status, ..)| report::is_ready(status));
        if let Some((status, health, tally)) = told {
            self.show(subject, &health);
            if !waits {
                self.report(cluster, status).await?;
            }
            if members.is_some() {
                self.tell(subject, &tally).await;
            }
        }
        self.tell_refused(subject, &live, members.as_deref().unwrap_or_default()).await;

        let interval = match plan.phase {
            Phase::Rolling(_) => ROLLING,
            _ if well => self.settings.observe_interval,
            _ => UNWELL.min(self.settings.observe_interval),
        };
        let next = self.look(subject, seats, guests, interval);
        let next = next.into_iter().chain(repair_in).chain(welcome_in).chain(missing_in);
        let next = next.chain(waits.then_some(TOLD)).min();
        match trouble {
            Some(_) => {
                let soon = next.map_or(REFUSED, |next| next.min(REFUSED));
                Ok((Action::requeue(soon), Outcome::Invalid))
            }
            None => Ok((next.map_or_else(Action::await_change, Action::requeue), Outcome::Ok)),
        }
    }

    /// Why pods are not made that were to be made long ago.
    async fn blocked(&self, subject: &Subject<'_>, desired: &Desired, live: &Live) -> Vec<Blocked> {
        let (uid, now) = (&subject.owner.uid, clock::now());
        let late = self.memory.of(uid, |memory| {
            let late = memory.missing.late(&live.pools);
            memory.blocked.retain(&late);
            late
        });
        for pool in late {
            let name = &pool.set_name;
            let live = self.stores.sets.get(&ObjectRef::new(name).within(&subject.namespace));
            let set_uid = live.and_then(|set| set.uid());
            let mut wanted = desired.pools.iter().map(|wanted| &wanted.set);
            let set = wanted.find(|set| set.name_any() == *name).zip(set_uid.as_deref());
            let (due, before) = self.memory.of(uid, |memory| {
                (memory.blocked.is_due(name, now), memory.blocked.last(name).cloned())
            });
            if let Some(set) = set.filter(|_| due) {
                let found = blocked::look(&self.once, set, pool, before.as_ref()).await;
                self.memory.of(uid, |memory| memory.blocked.note(name, found, now));
            }
        }
        self.memory.of(uid, |memory| memory.blocked.all())
    }

    /// Puts the objects as they should be, as far as the plan allows it now.
    async fn apply(
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

    /// Tells the figures of a cluster, unless it went meanwhile: nobody would take them back.
    fn show(&self, subject: &Subject<'_>, health: &Health) {
        let census = self.census();
        if census.knows(&subject.owner.uid) {
            self.metrics.cluster(&subject.namespace, &subject.valid.name, health);
        }
    }

    /// Writes a status that is new, and tells of what has changed with it.
    async fn report(
        &self,
        cluster: &GrapeCluster,
        status: GrapeClusterStatus,
    ) -> Result<(), Error> {
        if cluster.status.as_ref() == Some(&status) {
            return Ok(());
        }
        if let Err(error) = write::status(&self.client, cluster, &status).await {
            if error.is_refusal() {
                self.events.status_refused(cluster, &error).await;
            }
            return Err(error);
        }
        self.events.status_written(cluster);
        let uid = cluster.metadata.uid.as_deref().unwrap_or_default();
        let written = Written { over: cluster.resource_version(), status: status.clone() };
        self.memory.of(uid, |memory| memory.written = Some(written));
        self.events.status(cluster, &status).await;
        Ok(())
    }

    /// Tells of pods that newly run without their Grape.
    async fn tell(&self, subject: &Subject<'_>, tally: &Tally) {
        let before = subject.cluster.status.as_ref().and_then(|status| status.injected.as_ref());
        let news =
            self.memory.of(&subject.owner.uid, |memory| memory.told.news(&tally.missing, before));
        for (lack, pods) in tally.by_lack(&news) {
            self.events.without_grape(subject.cluster, &pods, lack).await;
        }
    }

    /// Tells of requests that Grapes refused, at the pods whose Grapes they are.
    async fn tell_refused(&self, subject: &Subject<'_>, live: &Live, members: &[Member]) {
        let news = self.memory.of(&subject.owner.uid, |memory| memory.refused.take());
        for News { pod, refusal } in news {
            let own = live.pods.get(&pod).map(|pod| pod.object_ref(&()));
            let member = || members.iter().find(|member| member.pod.title() == pod);
            // A pod that is gone meanwhile needs no event.
            if let Some(pod) = own.or_else(|| Some(member()?.pod.reference())) {
                self.events.refused(subject.cluster, &pod, &refusal).await;
            }
        }
    }

    /// Evicts a pod without its Grape where that is asked for, and it is time for one. How it goes,
    /// and in how long to see again.
    async fn repair(
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
        let in_vain = before.map(|before| &before.repaired_in_vain[..]).unwrap_or_default();
        let (step, news) = self.memory.of(&owner.uid, |memory| {
            memory.repair.resume(in_vain);
            memory.repair.next(members, now)
        });
        for controller in news {
            self.events.repaired_in_vain(cluster, &controller).await;
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

    /// Introduces Grapes that run and are not ready to others, so that they need not wait for what
    /// their name server has cached. In how long to do so again, while there are any.
    fn welcome(
        &self,
        subject: &Subject<'_>,
        live: &Live,
        (ready, guests): (&[Seat], &[Guest]),
        members: Option<&[Member]>,
        now: Timestamp,
    ) -> Option<Duration> {
        let valid = &subject.valid;
        let newcomers = live.newcomers(valid, now);
        let youngest = newcomers.iter().map(|(_, since)| *since).min()?;
        let pace = if youngest < YOUNG { WELCOME } else { WELCOME_AGAIN };
        let (uid, at) = (&subject.owner.uid, clock::now());
        let wait = self.memory.of(uid, |memory| {
            let last = memory.welcomed.map(|last| at.saturating_duration_since(last));
            let wait = last.and_then(|ago| pace.checked_sub(ago)).filter(|wait| !wait.is_zero());
            memory.welcomed = if wait.is_none() { Some(at) } else { memory.welcomed };
            wait
        });
        if wait.is_some() {
            return wait;
        }
        let lacks_sidecars =
            |members: &[Member]| members.iter().all(|it| it.pod.sidecar().is_none());
        let sole = valid.replicas == 1
            && live.pods.len() == 1
            && valid.dht.bootstrap.is_empty()
            && members.is_some_and(lacks_sidecars);
        let newcomers: Vec<_> = newcomers.into_iter().map(|(seat, _)| seat).collect();
        let (observer, ready, guests) = (self.observer.clone(), ready.to_vec(), guests.to_vec());
        tokio::spawn(async move { observer.welcome(&newcomers, &ready, &guests, sole).await });
        Some(pace)
    }

    /// The Grapes of services to ask in the next look.
    fn guests(&self, subject: &Subject<'_>, all: Vec<Guest>) -> Vec<Guest> {
        let present = all.iter().map(|guest| &*guest.name).collect();
        let (again, round) = self.memory.of(&subject.owner.uid, |memory| {
            (memory.seen.odd_guests(&present), memory.seen.rounds())
        });
        guests::sample(all, &again, round)
    }

    /// Begins a look at the Grapes when it is time for one; in how long it will be, else. None
    /// while one goes on, whose end is told.
    fn look(
        &self,
        subject: &Subject<'_>,
        seats: Vec<Seat>,
        guests: Vec<Guest>,
        interval: Duration,
    ) -> Option<Duration> {
        if seats.is_empty() {
            return Some(STARTING);
        }
        let uid = subject.owner.uid.clone();
        let round = match self.memory.of(&uid, |memory| memory.seen.due(interval, clock::now())) {
            Due::Now(round) => round,
            Due::In(wait) => return Some(wait),
            Due::Looking => return None,
        };
        let looked = self.looked.clone();
        let observer = self.observer.clone();
        let cluster = ObjectRef::new(&subject.valid.name).within(&subject.namespace);
        let memory = self.memory.clone();
        tokio::spawn(async move {
            let mut observation = observer.observe(&seats, &guests, round).await;
            memory.known(&uid, |memory| {
                let now = clock::now();
                memory.refused.note(std::mem::take(&mut observation.refusals), now);
                memory.seen.take(observation, now);
            });
            // Nobody listens when the operator ends.
            let _ = looked.send(cluster);
        });
        None
    }
}

/// The Grapes of services that run.
fn guests_of(subject: &Subject<'_>, members: &[Member]) -> Vec<Guest> {
    let seed = names::endpoint(&subject.valid.name, &subject.namespace, subject.valid.dht.port);
    let guest = |Member { pod, .. }: &Member| {
        let grape = pod.sidecar().filter(|grape| grape.ready)?;
        Some(Guest {
            name: pod.title(),
            ip: pod.ip?,
            admin_port: grape.admin_port.unwrap_or(limits::ADMIN_PORT),
            dht_port: grape.dht_port.unwrap_or(subject.valid.dht.port),
            seed: seed.to_string(),
        })
    };
    members.iter().filter_map(guest).collect()
}
