//! Grapes of services, seen from outside of their pods.

use std::collections::BTreeSet;
use std::time::Duration;

use grape_operator::observe::call::CallError;
use grape_operator::observe::complaint::Complaint;
use grape_operator::observe::sidecars::{InjectedSidecar, SidecarConnection};
use grape_operator::observe::{Observation, Observer, Target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::targets::{DEADLINE, join, kill, start_with, targets};

/// A name that resolves nowhere.
const SEED: &str = "market.trading.invalid:20001";

fn sidecar(target: &Target) -> InjectedSidecar {
    let Target { name, ip, admin_port, dht_port, .. } = target.clone();
    let seed = SEED.to_owned();
    InjectedSidecar { name: format!("{ip}/{name}"), ip, admin_port, dht_port, seed }
}

#[tokio::test]
async fn a_grape_of_a_service_is_joined_apart_or_silent() {
    let [together, elsewhere, nowhere] = [targets(4), targets(2), targets(1)];
    let (mut grapes, _others) = (join(&together).await, join(&elsewhere).await);
    let own = &together[..3];
    let targets = [&together[3], &elsewhere[0], &nowhere[0]];
    let sidecars = targets.map(sidecar);
    let [joined, disconnected, silent] = [0, 1, 2].map(|it: usize| sidecars[it].name.clone());
    let observer = Observer::default();
    let seen = observer.observe(own, &sidecars, 0).await;
    assert_eq!(seen.sidecars[&joined], SidecarConnection::Joined);
    assert_eq!(seen.sidecars[&disconnected], SidecarConnection::Disconnected);
    assert_eq!(seen.sidecars[&silent], SidecarConnection::Silent(CallError::Refused));
    assert_eq!(seen.topology.answered, 3, "the picture of the cluster's own is theirs alone");
    assert_eq!(seen.topology.partitions.len(), 1);
    assert!(seen.probes.iter().all(|probe| own.iter().any(|target| target.name == probe.looker)));

    // As long as the others know one that does not answer, it may only be out of reach.
    kill(grapes.remove(3)).await;
    let seen = observer.observe(own, &sidecars[..1], 1).await;
    assert_eq!(seen.sidecars[&joined], SidecarConnection::Joined);
}

/// Also if the Grape joined in another way, and for as long as the name does not resolve.
#[tokio::test]
async fn a_grape_whose_seed_does_not_resolve_is_reported() {
    let targets = targets(2);
    let mut grapes = join(&targets[..1]).await;
    let bootstrap = [targets[0].dht().to_string(), SEED.to_owned()].map(|it| it.parse().unwrap());
    grapes.push(start_with(&targets[1], bootstrap.to_vec()).await);
    let sidecars = [sidecar(&targets[1])];
    let observer = Observer::default();
    let seen =
        until_seen(&observer, &targets[..1], &sidecars, |seen| !seen.unresolved.is_empty()).await;
    assert_eq!(seen.unresolved, BTreeSet::from([sidecars[0].name.clone()]));
    assert_eq!(seen.sidecars[&sidecars[0].name], SidecarConnection::Joined);
    let other =
        [InjectedSidecar { seed: "other.trading.invalid:20001".to_owned(), ..sidecars[0].clone() }];
    let seen = observer.observe(&targets[..1], &other, 1).await;
    assert!(seen.unresolved.is_empty(), "that is another cluster's");
}

/// A look that is so.
async fn until_seen(
    observer: &Observer,
    own: &[Target],
    sidecars: &[InjectedSidecar],
    is: impl Fn(&Observation) -> bool,
) -> Observation {
    let looking = async {
        let mut round = 0;
        loop {
            let seen = observer.observe(own, sidecars, round).await;
            if is(&seen) {
                return seen;
            }
            round += 1;
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(DEADLINE, looking).await.expect("it is seen")
}

#[tokio::test]
async fn refusals_of_grapes_are_reported_by_pod() {
    let targets = targets(2);
    let grapes = join(&targets).await;
    let sidecars = [sidecar(&targets[1])];
    let observer = Observer::default();
    let seen = observer.observe(&targets[..1], &sidecars, 0).await;
    assert!(seen.complaints.is_empty());
    for target in &targets {
        announce(target, r#"["svc","1337"]"#).await;
    }
    let seen = observer.observe(&targets[..1], &sidecars, 1).await;
    let names: Vec<_> = seen.complaints.keys().collect();
    assert_eq!(names, [&sidecars[0].name, &targets[0].name]);
    for complaints in seen.complaints.values() {
        let [Complaint::Refused(refusal)] = &complaints[..] else { panic!("{complaints:?}") };
        assert_eq!((&*refusal.name, refusal.count), ("svc", 1));
        assert_eq!(refusal.hint, r#"send the port as a number: ["svc", 1337]"#);
    }
    drop(grapes);
}

/// Announces at the Grape of this seat, and waits for its answer.
async fn announce(target: &Target, data: &str) {
    let body = format!(r#"{{"data":{data}}}"#);
    let head = "POST /announce HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length:";
    let mut stream = TcpStream::connect(target.api()).await.unwrap();
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}
