use std::future::pending;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::*;

/// Connections whose tasks never end by themselves.
struct Crowd {
    places: Places,
    tasks: JoinSet<()>,
    kept: Vec<super::super::connection::Busy>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Idle,
    Unfinished,
    Answering,
}

impl Crowd {
    fn new(most: usize, of_this_host: usize) -> Self {
        Self { places: Places::new(most, of_this_host), tasks: JoinSet::new(), kept: Vec::new() }
    }

    /// Returns how many made room, and the new connection's id.
    fn open(&mut self, host: [u8; 4], state: State) -> Option<(usize, Id)> {
        let peer = SocketAddr::from((host, 1));
        let made_room = self.places.admit(peer)?;
        let activity = Arc::new(Activity::new(-1, self.places.turns(peer)));
        match state {
            State::Idle => {}
            State::Unfinished => activity.read(10),
            State::Answering => self.kept.push(activity.busy()),
        }
        let task = self.tasks.spawn(pending());
        let id = task.id();
        self.places.opened(peer, activity, task);
        Some((made_room, id))
    }

    fn has(&self, id: Id) -> bool {
        self.places.open.contains_key(&id)
    }
}

#[tokio::test]
async fn the_host_with_the_most_makes_room() {
    let mut crowd = Crowd::new(100, 0);
    let (_, honest) = crowd.open([10, 0, 0, 1], State::Idle).unwrap();
    for _ in 0..1000 {
        crowd.open([10, 0, 0, 66], State::Idle).unwrap();
    }
    let (made_room, another) = crowd.open([10, 0, 0, 2], State::Idle).unwrap();
    assert!(made_room <= 3 && crowd.places.open.len() <= 100);
    assert!(crowd.has(honest) && crowd.has(another));
    assert_eq!(
        crowd.places.of_host.values().map(|host| host.open).sum::<usize>(),
        crowd.places.open.len()
    );
}

#[tokio::test]
async fn idle_ones_make_room_before_unfinished_ones_and_answered_ones_stay() {
    let mut crowd = Crowd::new(3, 0);
    let host = [10, 0, 0, 1];
    let [unfinished, answered, idle] = [State::Unfinished, State::Answering, State::Idle]
        .map(|state| crowd.open(host, state).unwrap().1);
    let fourth = crowd.open(host, State::Answering).unwrap();
    assert_eq!(fourth.0, 1);
    assert!(crowd.has(unfinished) && crowd.has(answered) && !crowd.has(idle));
    assert_eq!(crowd.open(host, State::Answering).unwrap().0, 1);
    assert!(!crowd.has(unfinished));
    assert!(crowd.open(host, State::Idle).is_none(), "all are being answered");
    crowd.places.ended(answered);
    assert_eq!(crowd.open(host, State::Idle).unwrap().0, 0);
}

/// Probes come from this host, and so do the services beside a sidecar.
#[tokio::test]
async fn this_host_has_places_of_its_own() {
    let mut crowd = Crowd::new(100, 10);
    let here: Vec<_> =
        (0..10).map(|_| crowd.open([127, 0, 0, 1], State::Idle).unwrap().1).collect();
    for n in 0..200 {
        let taken = crowd.open([10, 0, 0, n], State::Answering).is_some();
        assert_eq!(taken, n < 90, "{n}");
    }
    assert!(here.iter().all(|id| crowd.has(*id)));
    assert_eq!(crowd.open([127, 0, 0, 1], State::Idle).unwrap().0, 3, "for each other");
}

#[tokio::test]
async fn other_hosts_have_turns_until_they_end() {
    let mut places = Places::new(10, 0);
    let [near, far] = [[127, 0, 0, 1], [10, 0, 0, 1]].map(|host| SocketAddr::from((host, 1)));
    assert!(places.turns(near).is_none());
    let [one, other] = [(); 2].map(|()| places.turns(far).unwrap());
    assert!(Arc::ptr_eq(&one, &other), "a host has the same for all of its connections");
    let (mut taken, wanted) = (0, places.turn_wanted());
    while one.take().now_or_never().is_some() {
        taken += 1;
    }
    wanted.notified().now_or_never().unwrap();
    places.next_turns();
    let again = std::iter::from_fn(|| other.take().now_or_never()).count();
    assert_eq!(again, taken);
    places.end_turns();
    assert!(one.take().now_or_never().is_some() && places.turns(far).is_none());
}
