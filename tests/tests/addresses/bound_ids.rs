//! The id of a Grape fits its public address (BEP 42).

use std::net::Ipv4Addr;

use grape_tests::hosts::Host;
use mainline::Id;
use rstest::rstest;

#[rstest]
#[case::of_its_host(&[], "203.0.113.7")]
#[case::advertised(&["--advertise-ip", "198.51.100.9"], "198.51.100.9")]
#[case::that_it_is_bound_to(&["--dht-bind", "203.0.113.8"], "203.0.113.8")]
#[tokio::test]
async fn an_id_fits_the_address(#[case] flags: &[&str], #[case] fits: Ipv4Addr) {
    let host = Host::new("a").await.unwrap();
    let other = host.neighbour("b").await.unwrap();
    host.connect(&other, "eth0").await.unwrap();
    for address in ["10.9.0.1/24", "203.0.113.7/24", "203.0.113.8/24"] {
        host.add_address(address, "eth0").await.unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..2 {
        let mut grape = host.grape(&[&["--bn="], flags].concat()).await.unwrap();
        let status = grape.status().await.unwrap();
        let id: Id = status["id"].as_str().unwrap().parse().unwrap();
        assert!(id.is_valid_for_ip(fits), "{id} at {fits}");
        ids.push(id);
        grape.process.signal("TERM").await.unwrap();
        grape.process.ended().await.unwrap();
    }
    assert_ne!(ids[0], ids[1], "the rest of it is random");
}
