//! What is no Grape, or none that answers.

use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::join_all;
use grape_operator::observe::call::Limits;
use grape_operator::observe::{Observation, Observer, Target};
use rstest::rstest;

use crate::targets::{Parrot, ok, silence, targets};

/// Seats where no canaries are sent.
fn quiet_targets(count: u8) -> Vec<Target> {
    targets(count).into_iter().map(|target| Target { ready: false, ..target }).collect()
}

/// Why each Grape that did not answer did not.
fn reasons(seen: &Observation) -> Vec<String> {
    seen.topology.unreachable.iter().map(|one| one.why.to_string()).collect()
}

#[rstest]
#[case(ok("hello"), "its /status is not a Grape's: expected value at line 1 column 1", false)]
#[case(ok(""), "its /status is not a Grape's: EOF while parsing a value at line 1 column 0", false)]
#[case(
    ok(r#"{"version":"1"}"#),
    "its /status is not a Grape's: missing field `uptimeSeconds` at line 1 column 15",
    false
)]
#[case(ok(&" ".repeat(300 << 10)), "answered with more than 256 KiB", false)]
#[case(
    "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
    "answered 503 Service Unavailable",
    false
)]
#[case("220 mail ready\r\n".to_owned(), "invalid HTTP version parsed", true)]
#[case(String::new(), "connection closed before message completed", true)]
#[tokio::test]
async fn answers_that_are_not_a_grapes_are_reported(
    #[case] answer: String,
    #[case] why: &str,
    #[case] unreachable: bool,
) {
    let targets = quiet_targets(1);
    let _parrot = Parrot::start(targets[0].admin(), answer, Duration::ZERO).await;
    let seen = Observer::default().observe(&targets, &[], 0).await;
    assert_eq!(reasons(&seen), [why]);
    assert_eq!(seen.topology.unreachable[0].why.is_unreachable(), unreachable);
    assert!(seen.answers.is_empty() && seen.probes.is_empty());
}

#[tokio::test]
async fn those_that_hang_are_given_up_together() {
    let timeout = Duration::from_millis(300);
    let targets = quiet_targets(20);
    // Ten say nothing at all, ten stop in the midst of an answer.
    let _silent: Vec<_> =
        targets[..10].iter().map(|target| silence(target.ip, target.admin_port)).collect();
    let begun = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    let _halting =
        join_all(targets[10..].iter().map(|target| Parrot::hanging(target.admin(), begun))).await;
    let started = grape::clock::now();
    let seen =
        Observer::new(Limits { timeout, ..Limits::default() }).observe(&targets, &[], 0).await;
    let took = started.elapsed();
    assert_eq!(reasons(&seen), vec!["no answer in 300ms"; 20]);
    assert!(took >= timeout && took < 10 * timeout, "{took:?}");
}

#[tokio::test]
async fn calls_of_all_clusters_together_are_bounded() {
    let targets = quiet_targets(1);
    let page = ok("no page");
    let parrot = Parrot::start(targets[0].admin(), page, Duration::from_millis(20)).await;
    let observer = Observer::new(Limits { at_once: 4, ..Limits::default() });
    let same: Vec<Target> = (0..8).map(|_| targets[0].clone()).collect();
    let looks = (0..3).map(|round| {
        let (observer, same) = (observer.clone(), &same);
        async move { observer.observe(same, &[], round).await }
    });
    let all = join_all(looks).await;
    assert!(all.iter().all(|seen| seen.topology.unreachable.len() == 8));
    assert_eq!(parrot.most_open.load(Ordering::Relaxed), 4);
}
