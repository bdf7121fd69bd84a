//! A host's address changes while its Grape runs.

use std::time::Duration;

use anyhow::ensure;
use grape_tests::figure;
use grape_tests::hosts::{Host, HostedGrape};
use grape_tests::wait::until_within;
use rstest::rstest;
use tokio::time::{Instant, sleep};

/// Three times what is wanted, on a machine of any speed.
const FOLLOWED_WITHIN: Duration = Duration::from_secs(20);

/// Waits until both Grapes show the service at this address alone.
async fn shown_alone_at(expected: &str, grapes: [&HostedGrape<'_>; 2]) -> Duration {
    let began = Instant::now();
    until_within(FOLLOWED_WITHIN, &format!("{expected} alone is shown"), async || {
        // As Grenache's services do every second.
        grapes[0].announce("rpc_test", 7000).await?;
        for (grape, of) in grapes.iter().zip(["the announcer", "the other"]) {
            let found: Vec<_> = grape.lookup("rpc_test").await?.into_iter().collect();
            ensure!(found == [expected], "{of} shows {found:?}");
        }
        anyhow::Ok(())
    })
    .await
    .unwrap();
    began.elapsed()
}

/// What happens to the first host's interface; `$OLD` and `$NEW` are its addresses.
#[rstest]
#[case::at_once(
    "ip address del $OLD dev eth0; ip address add $NEW dev eth0 $NODAD",
    "10.9.0.1/24",
    "10.9.0.7/24"
)]
#[case::the_new_one_first(
    "ip address add $NEW dev eth0 $NODAD; ip address del $OLD dev eth0",
    "10.9.0.1/24",
    "10.9.1.7/16"
)]
#[case::after_a_while(
    "ip address del $OLD dev eth0; sleep 7; ip address add $NEW dev eth0 $NODAD",
    "10.9.0.1/24",
    "10.9.0.7/24"
)]
#[case::ipv6(
    "ip address add $NEW dev eth0 $NODAD; ip address del $OLD dev eth0",
    "fd00:9::1/64",
    "fd00:9::7/64"
)]
#[case::only_the_route(
    "ip address add $NEW dev eth0; ip route replace 10.9.0.0/24 dev eth0 src 10.9.0.7",
    "10.9.0.1/24",
    "10.9.0.7/24"
)]
#[tokio::test]
async fn a_service_is_shown_at_its_hosts_new_address_alone(
    #[case] change: &str,
    #[case] old: &str,
    #[case] new: &str,
) {
    let a = Host::new("a").await.unwrap();
    let b = a.neighbour("b").await.unwrap();
    a.connect(&b, "eth0").await.unwrap();
    a.add_address(old, "eth0").await.unwrap();
    let (other, nodad, bootstrap) = match old.contains(':') {
        true => ("fd00:9::2/64", "nodad", "[fd00:9::2]:20001"),
        false => ("10.9.0.2/16", "", "10.9.0.2:20001"),
    };
    b.add_address(other, "eth0").await.unwrap();
    let second = b.grape(&[]).await.unwrap();
    let first = a.grape(&["--bn", bootstrap]).await.unwrap();
    let at = |address: &str| {
        let (ip, _) = address.split_once('/').unwrap();
        if ip.contains(':') { format!("[{ip}]:7000") } else { format!("{ip}:7000") }
    };
    shown_alone_at(&at(old), [&first, &second]).await;
    let line = change.replace("$OLD", old).replace("$NEW", new).replace("$NODAD", nodad);
    a.run(&line).await.unwrap();
    let took = shown_alone_at(&at(new), [&first, &second]).await;
    figure::took(&format!("11: {line}: the new address alone after"), took);
    let status = first.status().await.unwrap();
    assert_eq!(status["advertised"], new.split_once('/').unwrap().0);
    // And it stays so.
    sleep(Duration::from_secs(3)).await;
    shown_alone_at(&at(new), [&first, &second]).await;
}
