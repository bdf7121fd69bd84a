//! Addresses that have more than one form, or a part that is easily lost: zones, IPv4 in IPv6.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::hosts::{Host, HostedGrape};
use grape_tests::wait::until_within;
use rstest::rstest;
use tokio::time::Instant;

const JOINED_WITHIN: Duration = Duration::from_secs(6);

/// Two hosts on one link, with link-local addresses alone.
async fn link() -> (Host, Host) {
    let a = Host::new("a").await.unwrap();
    let b = a.neighbour("b").await.unwrap();
    a.connect(&b, "eth0").await.unwrap();
    a.add_address("fe80::a/64", "eth0").await.unwrap();
    b.add_address("fe80::b/64", "eth0").await.unwrap();
    (a, b)
}

/// Hosts number their interfaces each by itself.
async fn number_of_eth0(host: &Host) -> String {
    let shown = host.run("ip -oneline link show eth0").await.unwrap();
    shown.split(':').next().unwrap().to_owned()
}

async fn joins(grape: &HostedGrape<'_>, what: &str) {
    let began = Instant::now();
    until_within(JOINED_WITHIN, what, async || {
        let nodes = grape.nodes().await?;
        ensure!(nodes == 1, "it knows {nodes}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    figure::took(&format!("5: {what}: after"), began.elapsed());
}

#[rstest]
#[case::named("[fe80::a%eth0]:20001")]
#[case::numbered("[fe80::a%NUMBER]:20001")]
#[tokio::test]
async fn a_bootstrap_address_with_a_zone_is_joined(#[case] bootstrap: &str) {
    let (a, b) = link().await;
    let bootstrap = bootstrap.replace("%NUMBER", &format!("%{}", number_of_eth0(&b).await));
    let first = a.grape(&[]).await.unwrap();
    let second = b.grape(&["--bn", &bootstrap]).await.unwrap();
    joins(&second, &format!("--bn {bootstrap} joins")).await;
    joins(&first, "it is known there").await;

    // What is announced on one side is found on the other, with the zone that leads there.
    second.announce("rpc_test", 7000).await.unwrap();
    let expected = format!("[fe80::b%{}]:7000", number_of_eth0(&a).await);
    until_within(JOINED_WITHIN, "the service is found", async || {
        let found = first.lookup("rpc_test").await?;
        ensure!(found.len() == 1 && found.contains(&expected), "{found:?}, and not {expected}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
}

#[rstest]
#[case::named("eth7")]
// The first one that is made after loopback.
#[case::numbered("2")]
#[tokio::test]
async fn an_interface_that_is_not_there_yet_is_named_and_waited_for(#[case] zone: &str) {
    let a = Host::new("a").await.unwrap();
    let b = a.neighbour("b").await.unwrap();
    let first = a.grape(&[]).await.unwrap();
    let second = b.grape(&["--bn", &format!("[fe80::a%{zone}]:20001")]).await.unwrap();
    until_within(JOINED_WITHIN, "the log says what is wrong", async || {
        let errors = second.process.errors().join("\n");
        ensure!(errors.contains(&format!("no interface \"{zone}\"")), "{errors}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    a.connect(&b, "eth7").await.unwrap();
    a.add_address("fe80::a/64", "eth7").await.unwrap();
    b.add_address("fe80::b/64", "eth7").await.unwrap();
    // The name is tried again after up to 10 s.
    until_within(Duration::from_secs(40), "it joins", async || {
        let nodes = second.nodes().await?;
        ensure!(nodes == 1, "it knows {nodes}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    drop(first);
}

/// IPv4 as IPv6 writes it.
#[rstest]
#[case("[::ffff:127.0.0.1]")]
#[case("[::ffff:7f00:1]")]
#[tokio::test]
async fn a_bootstrap_address_in_another_form_is_joined(#[case] host: &str) {
    let first = Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let bootstrap = format!("{host}:{}", first.dht_port());
    let options = Options { bootstrap_at: vec![bootstrap], ..Options::default() };
    let mut second = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let began = Instant::now();
    until_within(JOINED_WITHIN, "it joins", async || {
        let nodes = second.nodes().await?;
        ensure!(nodes == 1, "it knows {nodes}");
        anyhow::Ok(())
    })
    .await
    .unwrap();
    figure::took(&format!("5: --bn {host}: joined after"), began.elapsed());
}
