//! One candidate, and a Lease as others leave it. Times are milliseconds since the start.

use grape::clock;
use k8s_openapi::jiff::Timestamp;
use rstest::rstest;

use super::*;

const ME: &str = "one";
const LEASE: u64 = 15_000;
const RENEW: u64 = 10_000;
const RETRY: u64 = 2_000;

/// A candidate and the time at which its test began.
struct Scene {
    start: Instant,
    candidate: Candidate,
}

impl Scene {
    fn new() -> Self {
        Self::of(ME, clock::now())
    }

    /// Another candidate in the same time.
    fn rival(&self) -> Self {
        Self::of("two", self.start)
    }

    fn of(identity: &str, start: Instant) -> Self {
        let [lease, renew, retry] = [LEASE, RENEW, RETRY].map(Duration::from_millis);
        let timings = Timings::new(lease, renew, retry).unwrap();
        Self { start, candidate: Candidate::new(identity.to_owned(), timings, start) }
    }

    /// One that leads since `at`.
    fn leading(at: u64) -> (Self, LeaseSpec) {
        let mut scene = Self::new();
        scene.observe(None, at);
        let record = scene.write(at);
        (scene, record)
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn observe(&mut self, record: Option<&LeaseSpec>, at: u64) {
        let at = self.at(at);
        self.candidate.observe(record, at);
    }

    fn step(&self, at: u64) -> Step {
        self.candidate.step(self.at(at))
    }

    fn wait(&self, until: u64) -> Step {
        Step::Wait { until: self.at(until) }
    }

    /// Writes its claim, which succeeds.
    fn write(&mut self, at: u64) -> LeaseSpec {
        let sent = self.at(at);
        let record = self.candidate.claim(wall(at));
        self.candidate.tries(sent);
        self.candidate.wrote(record.clone(), sent);
        record
    }

    /// A request that fails.
    fn fail(&mut self, at: u64) {
        let at = self.at(at);
        self.candidate.tries(at);
    }
}

fn wall(millis: u64) -> MicroTime {
    MicroTime(Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap())
}

/// A Lease of another that was acquired and renewed at these times of its own clock.
fn held(by: &str, acquired: u64, renewed: u64) -> LeaseSpec {
    LeaseSpec {
        holder_identity: Some(by.to_owned()),
        lease_duration_seconds: Some(15),
        acquire_time: Some(wall(acquired)),
        renew_time: Some(wall(renewed)),
        lease_transitions: Some(4),
        ..LeaseSpec::default()
    }
}

#[test]
fn a_newcomer_looks_before_it_leaps() {
    let mut scene = Scene::new();
    assert_eq!(scene.step(0), Step::Look);
    scene.fail(0);
    assert_eq!(scene.step(1), scene.wait(RETRY));
    assert_eq!(scene.step(RETRY), Step::Look);
}

#[test]
fn a_lease_that_never_was_is_made_at_once() {
    let mut scene = Scene::new();
    scene.observe(None, 5);
    assert_eq!(scene.step(5), Step::Acquire);
    let claim = scene.candidate.claim(wall(7));
    assert_eq!(
        claim,
        LeaseSpec {
            holder_identity: Some(ME.to_owned()),
            lease_duration_seconds: Some(15),
            acquire_time: Some(wall(7)),
            renew_time: Some(wall(7)),
            lease_transitions: Some(0),
            ..LeaseSpec::default()
        }
    );
}

#[test]
fn a_failed_claim_is_repeated_after_the_retry_period() {
    let mut scene = Scene::new();
    scene.observe(None, 0);
    scene.fail(100);
    assert_eq!(scene.step(101), scene.wait(100 + RETRY));
    assert_eq!(scene.step(100 + RETRY), Step::Acquire);
}

#[test]
fn a_lease_is_free_when_it_did_not_change_for_its_duration() {
    let mut scene = Scene::new();
    scene.observe(Some(&held("two", 0, 0)), 1_000);
    // Seeing the same again is no sign of life.
    scene.observe(Some(&held("two", 0, 0)), 9_000);
    assert_eq!(scene.step(9_000), scene.wait(1_000 + LEASE));
    assert_eq!(scene.step(999 + LEASE), scene.wait(1_000 + LEASE));
    assert_eq!(scene.step(1_000 + LEASE), Step::Acquire);

    scene.observe(Some(&held("two", 0, 1)), 10_000);
    assert_eq!(scene.step(1_000 + LEASE), scene.wait(10_000 + LEASE));
    assert_eq!(scene.candidate.waits_for(), Some("two"));
}

/// The clocks of others may be years behind, or years ahead.
#[rstest]
#[case(-62_000_000_000)]
#[case(0)]
#[case(4_000_000_000_000)]
fn clocks_of_others_are_not_trusted(#[case] theirs: i64) {
    let mut scene = Scene::new();
    let time = MicroTime(Timestamp::from_millisecond(theirs).unwrap());
    let mut record = held("two", 0, 0);
    record.renew_time = Some(time);
    scene.observe(Some(&record), 0);
    assert_eq!(scene.step(LEASE - 1), scene.wait(LEASE));
    assert_eq!(scene.step(LEASE), Step::Acquire);
}

#[rstest]
#[case(Some(3), 3_000)]
#[case(Some(60), 60_000)]
#[case(None, LEASE)]
#[case(Some(-1), LEASE)]
fn the_duration_is_the_one_of_the_record(#[case] seconds: Option<i32>, #[case] free: u64) {
    let mut scene = Scene::new();
    let record = LeaseSpec { lease_duration_seconds: seconds, ..held("two", 0, 0) };
    scene.observe(Some(&record), 0);
    assert_eq!(scene.step(0), scene.wait(free));
    assert_eq!(scene.step(free), Step::Acquire);
}

#[test]
fn the_longest_duration_does_not_overflow() {
    let mut scene = Scene::new();
    let record = LeaseSpec { lease_duration_seconds: Some(i32::MAX), ..held("two", 0, 0) };
    scene.observe(Some(&record), 0);
    assert!(matches!(scene.step(0), Step::Wait { .. }));
}

#[rstest]
#[case(None)]
#[case(Some(""))]
fn a_released_lease_is_taken_at_once(#[case] holder: Option<&str>) {
    let mut scene = Scene::new();
    scene.observe(Some(&held("two", 0, 0)), 0);
    let released = LeaseSpec { holder_identity: holder.map(str::to_owned), ..held("two", 0, 1) };
    scene.observe(Some(&released), 300);
    assert_eq!(scene.candidate.waits_for(), None);
    assert_eq!(scene.step(300), Step::Acquire);
    assert_eq!(scene.candidate.claim(wall(300)).lease_transitions, Some(5));
}

#[test]
fn fields_of_the_lease_that_are_not_of_an_election_stay() {
    let mut scene = Scene::new();
    let record = LeaseSpec { strategy: Some("x".to_owned()), ..held("two", 0, 0) };
    scene.observe(Some(&record), 0);
    assert_eq!(scene.candidate.claim(wall(LEASE)).strategy.as_deref(), Some("x"));
}

#[test]
fn transitions_are_counted_and_never_overflow() {
    let mut scene = Scene::new();
    let full = LeaseSpec { lease_transitions: Some(i32::MAX), ..held("two", 0, 0) };
    scene.observe(Some(&full), 0);
    assert_eq!(scene.candidate.claim(wall(LEASE)).lease_transitions, Some(i32::MAX));
}

#[test]
fn its_own_lease_of_before_a_restart_is_taken_at_once_and_is_no_transition() {
    let mut scene = Scene::new();
    scene.observe(Some(&held(ME, 0, 10)), 20);
    assert_eq!(scene.step(20), Step::Acquire);
    let record = scene.write(20);
    assert_eq!(record.lease_transitions, Some(4));
    assert_eq!(record.acquire_time, Some(wall(20)));
}

#[test]
fn a_renewal_keeps_all_but_its_time() {
    let (mut scene, first) = Scene::leading(0);
    assert_eq!(scene.step(0), scene.wait(RETRY));
    assert_eq!(scene.step(RETRY), Step::Renew);
    let second = scene.write(RETRY);
    assert_eq!(second, LeaseSpec { renew_time: Some(wall(RETRY)), ..first });
    assert_eq!(scene.candidate.leads_until(), Some(scene.at(RETRY + RENEW)));
}

#[test]
fn a_leader_that_cannot_renew_is_none_before_others_take_over() {
    let (mut leader, record) = Scene::leading(0);
    let mut other = leader.rival();
    // It sees the Lease the moment it is written, which is the earliest that there is.
    other.observe(Some(&record), 0);
    for at in (RETRY..RENEW).step_by(2_000) {
        assert_eq!(leader.step(at), Step::Renew);
        leader.fail(at);
    }
    assert_eq!(leader.step(RENEW - 1), leader.wait(RENEW));
    let deadline = Duration::from_millis(RENEW);
    assert_eq!(leader.step(RENEW), Step::Lost(Loss::Expired(deadline)));
    assert_eq!(other.step(RENEW), other.wait(LEASE));
}

#[test]
fn a_renewal_counts_from_when_it_was_sent() {
    let (mut scene, _) = Scene::leading(0);
    let sent = scene.at(2_000);
    scene.candidate.tries(sent);
    let record = scene.candidate.claim(wall(2_000));
    // However late the answer comes.
    scene.candidate.wrote(record, sent);
    assert_eq!(scene.step(6_000), Step::Renew);
    assert!(matches!(scene.step(12_000), Step::Lost(Loss::Expired(_))));
}

#[test]
fn a_stolen_lease_is_lost() {
    let (mut scene, record) = Scene::leading(0);
    let stolen = LeaseSpec { holder_identity: Some("thief".to_owned()), ..record };
    assert!(scene.candidate.doubts(Some(&stolen)));
    scene.observe(Some(&stolen), 100);
    assert_eq!(scene.step(100), Step::Lost(Loss::Taken("thief".to_owned())));
    assert_eq!(scene.candidate.release(wall(100)), None);
}

#[test]
fn another_process_of_the_same_name_is_another_holder() {
    let (mut scene, record) = Scene::leading(0);
    let other = LeaseSpec { acquire_time: Some(wall(50)), ..record };
    assert!(scene.candidate.doubts(Some(&other)));
    scene.observe(Some(&other), 100);
    assert_eq!(scene.step(100), Step::Lost(Loss::Taken(ME.to_owned())));
}

#[test]
fn an_emptied_lease_is_lost() {
    let (mut scene, record) = Scene::leading(0);
    scene.observe(Some(&LeaseSpec { holder_identity: None, ..record }), 100);
    assert_eq!(scene.step(100), Step::Lost(Loss::Emptied));
}

#[test]
fn a_deleted_lease_is_made_again_by_its_leader_before_others_may() {
    let (mut leader, record) = Scene::leading(0);
    let mut other = leader.rival();
    other.observe(Some(&record), 0);

    assert!(leader.candidate.doubts(None));
    leader.observe(None, 500);
    other.observe(None, 500);
    assert_eq!(leader.step(500), Step::Renew);
    assert_eq!(other.step(500), other.wait(500 + LEASE));
    let again = leader.write(500);
    assert_eq!(again.acquire_time, record.acquire_time);
    assert!(!leader.candidate.doubts(Some(&again)));

    // Were the leader gone as well, the other would not wait for ever.
    assert_eq!(other.step(500 + LEASE), Step::Acquire);
}

#[test]
fn a_renewal_that_was_given_up_and_arrived_all_the_same_is_no_loss() {
    let (mut scene, _) = Scene::leading(0);
    scene.fail(RETRY);
    let arrived = scene.candidate.claim(wall(RETRY));
    assert!(!scene.candidate.doubts(Some(&arrived)));
    scene.observe(Some(&arrived), RETRY + 100);
    // It is not known when it was sent, so the deadline does not move.
    assert_eq!(scene.candidate.leads_until(), Some(scene.at(RENEW)));
    assert_eq!(scene.step(RETRY + 100), Step::Renew);
}

#[test]
fn a_release_empties_the_holder_and_keeps_the_count() {
    let mut scene = Scene::new();
    assert_eq!(scene.candidate.release(wall(0)), None);
    scene.observe(Some(&held("two", 0, 0)), 0);
    assert_eq!(scene.candidate.release(wall(0)), None);
    let record = scene.write(LEASE);
    let released = scene.candidate.release(wall(LEASE + 9)).unwrap();
    assert_eq!(
        released,
        LeaseSpec {
            holder_identity: None,
            lease_duration_seconds: Some(1),
            renew_time: Some(wall(LEASE + 9)),
            ..record
        }
    );
    assert_eq!(released.lease_transitions, Some(5));
}

#[test]
fn a_follower_has_no_doubts() {
    let mut scene = Scene::new();
    scene.observe(Some(&held("two", 0, 0)), 0);
    assert!(!scene.candidate.doubts(None));
    assert!(!scene.candidate.doubts(Some(&held("three", 0, 0))));
}
