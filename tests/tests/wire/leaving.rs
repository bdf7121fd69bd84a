//! Services and Grapes that take leave, and Grapes that join through a name.

use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr};

use anyhow::ensure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::network::{Network, Shape};
use grape_tests::process::Process;
use grape_tests::{our_grape, wait};
use rstest::rstest;
use serde_json::json;
use tokio::process::Command;

/// Which Grapes a withdrawal reaches: npm's neither know the query nor are disturbed by it.
#[rstest]
#[case::ours("ooo")]
#[case::mixed("onoo")]
#[case::through_npms("noon")]
#[tokio::test]
async fn a_withdrawn_service_is_gone_from_ours_at_once(#[case] nodes: &str) {
    let network = Network::of(Shape::Star, nodes).await.unwrap();
    let ours = network.grapes.iter().filter(|grape| grape.kind() == Kind::Ours);
    let announcer = ours.clone().next().unwrap();
    announcer.announce("leaves", 7801).await.unwrap();
    announcer.announce("leaves", 7802).await.unwrap();
    for grape in &network.grapes {
        assert_eq!(grape.lookup("leaves").await.unwrap().len(), 2, "{grape}");
    }
    let reply = announcer.call("withdraw", json!(["leaves", 7801])).await.unwrap();
    assert_eq!(reply.json().unwrap(), json!(ours.clone().count() - 1), "confirmed by ours alone");
    let with_npm = ours.clone().count() < network.grapes.len();
    for grape in ours {
        let left = grape.lookup("leaves").await.unwrap();
        assert!(left.contains("127.0.0.1:7802"), "{grape}: {left:?}");
        // An npm Grape that still stores it may return it to others.
        assert!(with_npm || left.len() == 1, "{grape}: {left:?}");
    }
}

/// Others still store the announces of a Grape that was killed. Started again at its address, it
/// can withdraw them.
#[tokio::test]
async fn a_restarted_grape_withdraws_its_former_announces() {
    let mut network = Network::of(Shape::Star, "ooo").await.unwrap();
    let announcer = network.grapes.pop().unwrap();
    announcer.announce("before", 7804).await.unwrap();
    let seat = announcer.kill().await.unwrap();
    let bootstrap = network.grapes.iter().map(Grape::dht_port).collect();
    let options = Options { bootstrap, ..Options::default() };
    let again = Grape::start(Kind::Ours, seat, &options).await.unwrap();
    let reply = again.call("withdraw", json!(["before", 7804])).await.unwrap();
    assert_eq!(reply.status, 200);
    for grape in network.grapes.iter().chain([&again]) {
        let gone = wait::until("it is gone", async || {
            let found = grape.lookup("before").await?;
            ensure!(found.is_empty(), "{found:?}");
            anyhow::Ok(())
        });
        gone.await.unwrap();
    }
}

#[rstest]
#[case::ours("ooo")]
#[case::mixed("ono")]
#[tokio::test]
async fn a_drained_grape_takes_its_services_along(#[case] nodes: &str) {
    let mut network = Network::of(Shape::Star, nodes).await.unwrap();
    let mut leaver = network.grapes.pop().unwrap();
    leaver.announce("drained", 7803).await.unwrap();
    let peer = BTreeSet::from(["127.0.0.1:7803".to_owned()]);
    for grape in &network.grapes {
        assert_eq!(grape.lookup("drained").await.unwrap(), peer, "{grape}");
    }
    let pid = leaver.process().pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    assert!(leaver.process().ended().await.unwrap().success(), "{}", leaver.process().shown());
    if nodes.contains('n') {
        // The original's copy lives on, for all who ask it; the others must not mind.
        assert_eq!(network.grapes[1].lookup("drained").await.unwrap(), peer);
    } else {
        for grape in &network.grapes {
            assert_eq!(grape.lookup("drained").await.unwrap(), BTreeSet::new(), "{grape}");
        }
    }
}

/// A name may have several addresses, of both families, of which some do not answer.
#[rstest]
#[case::ours(Kind::Ours)]
#[case::npms(Kind::Npm)]
#[tokio::test]
async fn a_grape_joins_through_a_host_name(#[case] kind: Kind) {
    let network = Network::start(Shape::Star, &[kind, kind]).await.unwrap();
    let seat = Seat::take().unwrap();
    let mut command = Command::new(our_grape::binary().unwrap());
    command.args(["-b", "127.0.0.1", "--dp", &seat.dht.number().to_string()]);
    command.args(["--aph", &seat.api.number().to_string()]);
    let through = format!("localhost:{},no-such-host.invalid:1", network.grapes[0].dht_port());
    command.args(["--bn", &through]);
    let process = Process::start("a Grape that joins through localhost", &mut command).unwrap();
    let api = SocketAddr::from((Ipv4Addr::LOCALHOST, seat.api.number()));
    let joined = wait::until("it knows both others", async || {
        let status = our_grape::status(api).await?;
        let known: BTreeSet<u64> = status["neighbours"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|node| node["address"].as_str()?.rsplit_once(':')?.1.parse().ok())
            .collect();
        let others = network.grapes.iter().map(|grape| u64::from(grape.dht_port()));
        ensure!(known == others.collect(), "it knows {known:?}");
        ensure!(status["ready"] == json!(true), "it is not ready");
        anyhow::Ok(())
    });
    joined.await.unwrap_or_else(|error| panic!("{error:#}\n{}", process.shown()));
}
