//! Grapes of services, seen from outside of their pods.

use grape_operator::observe::call::CallError;
use grape_operator::observe::guests::{Guest, Place};
use grape_operator::observe::{Observer, Seat};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::places::{join, kill, seats};

fn guest(seat: &Seat) -> Guest {
    let Seat { name, ip, admin_port, dht_port, .. } = seat.clone();
    Guest { name: format!("{ip}/{name}"), ip, admin_port, dht_port }
}

#[tokio::test]
async fn a_grape_of_a_service_is_joined_apart_or_silent() {
    let [together, elsewhere, nowhere] = [seats(4), seats(2), seats(1)];
    let (mut grapes, _others) = (join(&together).await, join(&elsewhere).await);
    let own = &together[..3];
    let seats = [&together[3], &elsewhere[0], &nowhere[0]];
    let guests = seats.map(guest);
    let [joined, apart, silent] = [0, 1, 2].map(|it: usize| guests[it].name.clone());
    let observer = Observer::default();
    let seen = observer.observe(own, &guests, 0).await;
    assert_eq!(seen.guests[&joined], Place::Joined);
    assert_eq!(seen.guests[&apart], Place::Apart);
    assert_eq!(seen.guests[&silent], Place::Silent(CallError::Refused));
    assert_eq!(seen.topology.answered, 3, "the picture of the cluster's own is theirs alone");
    assert_eq!(seen.topology.islands.len(), 1);
    assert!(seen.probes.iter().all(|probe| own.iter().any(|seat| seat.name == probe.looker)));

    // As long as the others know one that does not answer, it may only be out of reach.
    kill(grapes.remove(3)).await;
    let seen = observer.observe(own, &guests[..1], 1).await;
    assert_eq!(seen.guests[&joined], Place::Joined);
}

#[tokio::test]
async fn what_grapes_refuse_is_told_by_their_pods() {
    let places = seats(2);
    let grapes = join(&places).await;
    let guests = [guest(&places[1])];
    let observer = Observer::default();
    let seen = observer.observe(&places[..1], &guests, 0).await;
    assert!(seen.refusals.is_empty());
    for place in &places {
        announce(place, r#"["svc","1337"]"#).await;
    }
    let seen = observer.observe(&places[..1], &guests, 1).await;
    let names: Vec<_> = seen.refusals.keys().collect();
    assert_eq!(names, [&guests[0].name, &places[0].name]);
    for refusals in seen.refusals.values() {
        assert_eq!((&*refusals[0].name, refusals[0].count), ("svc", 1));
        assert_eq!(refusals[0].hint, r#"send the port as a number: ["svc", 1337]"#);
    }
    drop(grapes);
}

/// Announces at the Grape of this seat, and waits for its answer.
async fn announce(place: &Seat, data: &str) {
    let body = format!(r#"{{"data":{data}}}"#);
    let head = "POST /announce HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length:";
    let mut stream = TcpStream::connect(place.api()).await.unwrap();
    let request = format!("{head} {}\r\n\r\n{body}", body.len());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}
