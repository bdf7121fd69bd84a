//! A bootstrap address that several Grapes share, the one that joins among them.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use rstest::rstest;
use tokio::time::sleep;

use super::Joiner;
use super::balancer::Balancer;

/// How a balancer chooses.
#[derive(Debug, Clone, Copy)]
enum Choice {
    /// Another Grape for each datagram, first the asking one itself.
    EachDatagram,
    /// By the sender's port, as kube-proxy does: from its own port the one who joins always
    /// reaches itself.
    EachFlow,
}

#[rstest]
#[case::chosen_for_each_datagram(Choice::EachDatagram, Kind::Ours)]
#[case::chosen_for_each_datagram_npms(Choice::EachDatagram, Kind::Npm)]
#[case::chosen_for_each_flow(Choice::EachFlow, Kind::Ours)]
#[tokio::test]
async fn an_address_that_led_home_is_joined_through_later(
    #[case] choice: Choice,
    #[case] kind: Kind,
) {
    let options = Options::default();
    let other = Grape::start(kind, Seat::take().unwrap(), &options).await.unwrap();
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let (seat, other) = (Seat::take().unwrap(), (local(other.dht_port()), other));
    let (own, theirs) = (local(seat.dht.number()), other.0);
    let choose = move |client: SocketAddr, before: usize| match choice {
        Choice::EachDatagram if before == 0 => own,
        Choice::EachFlow if client == own => own,
        Choice::EachDatagram | Choice::EachFlow => theirs,
    };
    let balancer = Balancer::start(choose).await;
    let joiner = Joiner::start(seat, &balancer.addr.to_string(), &[]);
    let took = joiner.joined(Duration::from_secs(8)).await;
    figure::took(&format!("4: an address that leads home, {choice:?}: joined after"), took);
}

/// It cannot know soon whether another Grape is behind that address.
#[tokio::test]
async fn a_grape_that_has_only_reached_itself_is_not_ready_soon() {
    let seat = Seat::take().unwrap();
    let own = SocketAddr::from((Ipv4Addr::LOCALHOST, seat.dht.number()));
    let balancer = Balancer::start(move |_, _| own).await;
    let joiner = Joiner::start(seat, &balancer.addr.to_string(), &[]);
    sleep(Duration::from_secs(6)).await;
    assert!(!joiner.is_ready().await.unwrap(), "{}", joiner.process.shown());
}
