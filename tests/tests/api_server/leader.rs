//! Leader election at a real API server: who leads when, and never two at once.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use grape::clock;
use grape_operator::leader::decide::Loss;
use grape_operator::leader::{ElectionConfig, Elector, Leadership, Timings};
use grape_tests::kubernetes::ApiServer;
use grape_tests::wait;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, Resource};
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

const LEASE: Duration = Duration::from_secs(4);
const RENEW: Duration = Duration::from_secs(2);
const RETRY: Duration = Duration::from_millis(500);

/// A Lease of a scenario's own, and who led by it when.
struct Scene {
    client: Client,
    name: &'static str,
    led: Arc<Mutex<Vec<(String, Instant, Instant)>>>,
}

/// A leader, which notes how long it was one.
struct Leader {
    identity: String,
    since: Instant,
    leadership: Leadership,
    led: Arc<Mutex<Vec<(String, Instant, Instant)>>>,
}

impl Scene {
    async fn new(server: &ApiServer, name: &'static str) -> Self {
        let scene = Self { client: server.client(), name, led: Arc::default() };
        // The server may be somebody else's, and an earlier test may have been killed.
        let _ = scene.leases().delete(name, &DeleteParams::default()).await;
        scene
    }

    fn leases(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), "default")
    }

    async fn lease(&self) -> Lease {
        self.leases().get(self.name).await.unwrap()
    }

    async fn holder(&self) -> Option<String> {
        self.lease().await.spec.unwrap().holder_identity
    }

    /// Overwrites parts of the Lease's record, whichever replica holds it.
    async fn overwrite(&self, spec: serde_json::Value) {
        let patch = Patch::Merge(json!({"spec": spec}));
        self.leases().patch(self.name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Campaigns in the background, and gives the leader when it is one.
    fn campaign(&self, identity: &str) -> tokio::task::JoinHandle<Leader> {
        let config = ElectionConfig {
            namespace: "default".to_owned(),
            lease: self.name.to_owned(),
            identity: identity.to_owned(),
            timings: Timings::new(LEASE, RENEW, RETRY).unwrap(),
        };
        let elector = Elector::new(self.client.clone(), config);
        let (identity, led) = (identity.to_owned(), Arc::clone(&self.led));
        tokio::spawn(async move {
            let leadership = elector.campaign(&CancellationToken::new()).await.unwrap();
            Leader { identity, since: clock::now(), leadership, led }
        })
    }

    async fn leader(&self, identity: &str) -> Leader {
        timeout(wait::DEADLINE, self.campaign(identity)).await.unwrap().unwrap()
    }

    /// Checks that no two led at once, and ends.
    async fn end(self) {
        let mut led = self.led.lock().unwrap().clone();
        led.sort_by_key(|(_, since, _)| *since);
        assert!(led.len() > 1, "{led:?}");
        for pair in led.windows(2) {
            let ((one, _, until), (other, since, _)) = (&pair[0], &pair[1]);
            assert!(since >= until, "{other} led {:?} before {one} ended", *until - *since);
        }
        self.leases().delete(self.name, &DeleteParams::default()).await.unwrap();
    }
}

impl Leader {
    fn note(&self) {
        let led = (self.identity.clone(), self.since, clock::now());
        self.led.lock().unwrap().push(led);
    }

    async fn release(self) {
        self.note();
        self.leadership.release().await.unwrap();
    }

    async fn lost(self) -> Loss {
        let loss = timeout(wait::DEADLINE, self.leadership.lost()).await.unwrap();
        self.note();
        loss
    }

    /// Ends as a process that is killed does: nothing is written any more.
    fn die(self) -> Instant {
        self.note();
        clock::now()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_at_a_time() {
    let server = ApiServer::start().await.unwrap();
    tokio::join!(
        a_release_hands_over(&server),
        a_dead_leader_is_waited_for(&server),
        a_thief_is_noticed(&server),
        an_emptied_lease_is_lost(&server),
        a_deleted_lease_is_made_again(&server),
        many_take_turns(&server),
        one_that_restarts_does_not_wait_for_itself(&server),
        labels_of_others_stay(&server),
    );
}

async fn a_release_hands_over(server: &ApiServer) {
    let scene = Scene::new(server, "hands-over").await;
    let one = scene.leader("one").await;
    let first = scene.lease().await.spec.unwrap();
    let two = scene.campaign("two");
    // As long as the first renews, the second waits.
    sleep(LEASE + RETRY).await;
    assert!(!two.is_finished());
    let renewed = scene.lease().await.spec.unwrap();
    assert_eq!(renewed.holder_identity.as_deref(), Some("one"));
    assert_eq!(renewed.acquire_time, first.acquire_time);
    assert!(renewed.renew_time > first.renew_time);
    assert_eq!((first.lease_transitions, renewed.lease_transitions), (Some(0), Some(0)));
    assert_eq!(renewed.lease_duration_seconds, Some(4));

    let before = clock::now();
    one.release().await;
    let two = timeout(wait::DEADLINE, two).await.unwrap().unwrap();
    assert!(before.elapsed() < Duration::from_secs(1), "it took {:?}", before.elapsed());
    let taken = scene.lease().await.spec.unwrap();
    assert_eq!(taken.lease_transitions, Some(1));
    assert!(taken.acquire_time > first.acquire_time);

    two.release().await;
    let released = scene.lease().await.spec.unwrap();
    assert_eq!(released.holder_identity, None);
    assert_eq!(released.lease_duration_seconds, Some(1));
    scene.end().await;
}

async fn a_dead_leader_is_waited_for(server: &ApiServer) {
    let scene = Scene::new(server, "dead").await;
    let one = scene.leader("one").await;
    let two = scene.campaign("two");
    sleep(RETRY * 3).await;
    let died = one.die();
    let two = timeout(wait::DEADLINE, two).await.unwrap().unwrap();
    let waited = died.elapsed();
    // The last renewal was up to one retry period before the end.
    assert!(waited > LEASE - RETRY - Duration::from_millis(300), "only {waited:?}");
    assert!(waited < LEASE + Duration::from_secs(2), "{waited:?}");
    two.die();
    scene.end().await;
}

async fn a_thief_is_noticed(server: &ApiServer) {
    let scene = Scene::new(server, "stolen").await;
    let one = scene.leader("one").await;
    let two = scene.campaign("two");
    scene.overwrite(json!({"holderIdentity": "thief"})).await;
    let before = clock::now();
    assert_eq!(one.lost().await, Loss::Taken("thief".to_owned()));
    // By the watch, not at the next renewal's end.
    assert!(before.elapsed() < Duration::from_secs(1), "{:?}", before.elapsed());
    // The thief does not renew.
    let two = timeout(wait::DEADLINE, two).await.unwrap().unwrap();
    assert!(before.elapsed() > LEASE - Duration::from_millis(300), "{:?}", before.elapsed());
    two.release().await;
    scene.end().await;
}

async fn an_emptied_lease_is_lost(server: &ApiServer) {
    let scene = Scene::new(server, "emptied").await;
    let one = scene.leader("one").await;
    scene.overwrite(json!({"holderIdentity": null})).await;
    assert_eq!(one.lost().await, Loss::Emptied);
    scene.leader("two").await.release().await;
    scene.end().await;
}

async fn a_deleted_lease_is_made_again(server: &ApiServer) {
    let scene = Scene::new(server, "deleted").await;
    let one = scene.leader("one").await;
    let two = scene.campaign("two");
    sleep(RETRY).await;
    let before = scene.lease().await;
    scene.leases().delete(scene.name, &DeleteParams::default()).await.unwrap();
    let again = wait::until("it is there again", async || scene.leases().get(scene.name).await);
    let again = again.await.unwrap();
    assert_ne!(again.meta().uid, before.meta().uid);
    let (again, before) = (again.spec.unwrap(), before.spec.unwrap());
    assert_eq!(again.holder_identity, before.holder_identity);
    assert_eq!(again.acquire_time, before.acquire_time);
    sleep(LEASE + RETRY).await;
    assert!(!two.is_finished());
    one.release().await;
    timeout(wait::DEADLINE, two).await.unwrap().unwrap().release().await;
    scene.end().await;
}

async fn many_take_turns(server: &ApiServer) {
    const MANY: usize = 5;
    let scene = Scene::new(server, "many").await;
    let campaigns: Vec<_> =
        (0..MANY).map(|index| scene.campaign(&format!("candidate-{index}"))).collect();
    let turns = campaigns.into_iter().map(|campaign| async {
        let leader = timeout(wait::DEADLINE, campaign).await.unwrap().unwrap();
        sleep(Duration::from_millis(200)).await;
        assert_eq!(scene.holder().await.as_deref(), Some(leader.identity.as_str()));
        leader.release().await;
    });
    futures_util::future::join_all(turns).await;
    assert_eq!(scene.led.lock().unwrap().len(), MANY);
    let spec = scene.lease().await.spec.unwrap();
    assert_eq!(spec.lease_transitions, Some(i32::try_from(MANY).unwrap() - 1));
    scene.end().await;
}

async fn one_that_restarts_does_not_wait_for_itself(server: &ApiServer) {
    let scene = Scene::new(server, "restarted").await;
    let died = scene.leader("one").await.die();
    let again = scene.leader("one").await;
    assert!(died.elapsed() < LEASE - RETRY, "{:?}", died.elapsed());
    assert_eq!(scene.lease().await.spec.unwrap().lease_transitions, Some(0));

    // Had the first one not ended, it would know now.
    let third = scene.leader("one").await;
    assert_eq!(again.leadership.lost().await, Loss::Taken("one".to_owned()));
    drop(again);
    third.release().await;
    scene.end().await;
}

async fn labels_of_others_stay(server: &ApiServer) {
    let scene = Scene::new(server, "labelled").await;
    let one = scene.leader("one").await;
    let patch = Patch::Merge(json!({"metadata": {"labels": {"by": "others"}}}));
    scene.leases().patch(scene.name, &PatchParams::default(), &patch).await.unwrap();
    let before = scene.lease().await;
    // It is outrun by the label, and renews all the same.
    wait::until("a renewal", async || {
        let now = scene.lease().await;
        if now.spec == before.spec { Err("none yet") } else { Ok(()) }
    })
    .await
    .unwrap();
    one.release().await;
    scene.leader("two").await.release().await;
    assert_eq!(scene.lease().await.metadata.labels.unwrap()["by"], "others");
    scene.end().await;
}
