//! Which Grapes know which: from the views of a cluster's Grapes to partitions and isolated Grapes.
//! Pure.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;

use super::call::CallError;

/// How many of the cluster's other Grapes a Grape has to know; all of them in a smaller cluster.
///
/// A routing table need not hold every node: bucket `i` has 20 places (Kademlia's k) for the nodes
/// that share `i` leading bits with its own id, and half of all nodes fall into the first bucket.
/// While no bucket is full, the table holds all nodes; with a full one, 20 at least. So in a DHT of
/// `n` Grapes each one knows `min(n - 1, 20)`. Eight leaves room for Grapes that it has not met
/// yet, or that are silent for a moment.
const ENOUGH_OF_CLUSTER: usize = 8;

/// How many nodes of any kind are enough: as many as a bucket has places. If a cluster is a small
/// part of a large DHT, other nodes had the places first, and the cluster's Grapes find each other
/// through them.
const ENOUGH_OF_ALL: usize = 20;

/// The view of one Grape of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Its pod's name.
    pub name: String,
    /// Its own address in the DHT.
    pub address: SocketAddr,
    /// Addresses of the nodes that answered it lately, or why it could not be asked. An address is
    /// listed twice if a Grape there restarted under a new id.
    pub live: Result<Vec<SocketAddr>, CallError>,
}

/// A Grape that could not be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Its pod's name.
    pub name: String,
    /// Why.
    pub why: CallError,
}

/// Which Grapes know which. "Known" counts the distinct addresses of other nodes, of the cluster
/// and outside of it, that answered lately.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Topology {
    /// How many Grapes answered.
    pub answered: usize,
    /// The Grapes that did not answer, by name.
    pub unreachable: Vec<Unreachable>,
    /// Most other nodes that any Grape knows; 0 if none answered.
    pub nodes: usize,
    /// Fewest other nodes that any Grape knows; 0 if none answered.
    pub min_known_nodes: usize,
    /// Mean number of other nodes known; 0 if none answered.
    pub mean_known_nodes: f64,
    /// The pods of each group of connected Grapes; nodes outside the cluster connect them too.
    /// Largest first, then by name; sorted within. Grapes that did not answer are in none.
    pub partitions: Vec<Vec<String>>,
    /// Pods whose Grapes know too few others of the cluster, by name.
    pub sees_too_few: Vec<String>,
}

impl Topology {
    /// Computes it from all views, in time linear in their entries.
    pub fn of(views: &[View]) -> Self {
        let mut unreachable = Vec::new();
        let mut answered = Vec::new();
        for View { name, address, live } in views {
            match live {
                Ok(live) => {
                    let known: HashSet<SocketAddr> =
                        live.iter().copied().filter(|other| other != address).collect();
                    answered.push(Answered { name, address: *address, known });
                }
                Err(why) => unreachable.push(Unreachable { name: name.clone(), why: why.clone() }),
            }
        }
        unreachable.sort_by(|a, b| a.name.cmp(&b.name));
        let counts = || answered.iter().map(|grape| grape.known.len());
        let sum: usize = counts().sum();
        Self {
            answered: answered.len(),
            unreachable,
            nodes: counts().max().unwrap_or(0),
            min_known_nodes: counts().min().unwrap_or(0),
            mean_known_nodes: sum as f64 / answered.len().max(1) as f64,
            partitions: partitions(&answered),
            sees_too_few: sees_too_few(&answered),
        }
    }

    /// Whether anything is not as in a healthy cluster.
    pub fn is_odd(&self) -> bool {
        self.is_partitioned() || !self.unreachable.is_empty() || !self.sees_too_few.is_empty()
    }

    /// Whether some Grapes that answered cannot find what is announced at others of them.
    pub fn is_partitioned(&self) -> bool {
        self.partitions.len() > 1
    }
}

/// A Grape that answered, with the other nodes that it knows.
struct Answered<'a> {
    name: &'a str,
    address: SocketAddr,
    known: HashSet<SocketAddr>,
}

/// A Grape is connected with each node that it knows, in whichever direction: each learns of the
/// other when it is asked.
fn partitions(answered: &[Answered<'_>]) -> Vec<Vec<String>> {
    let mut groups = Groups::default();
    for grape in answered {
        let own = groups.vertex(grape.address);
        for other in &grape.known {
            let other = groups.vertex(*other);
            groups.join(own, other);
        }
    }
    let mut partitions: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for grape in answered {
        let own = groups.vertex(grape.address);
        partitions.entry(groups.root(own)).or_default().push(grape.name.to_owned());
    }
    let mut partitions: Vec<_> = partitions.into_values().collect();
    for partition in &mut partitions {
        partition.sort_unstable();
    }
    partitions.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    partitions
}

fn sees_too_few(answered: &[Answered<'_>]) -> Vec<String> {
    let cluster: HashSet<SocketAddr> = answered.iter().map(|grape| grape.address).collect();
    let wanted = cluster.len().saturating_sub(1).min(ENOUGH_OF_CLUSTER);
    let too_few = |grape: &&Answered<'_>| {
        grape.known.len() < ENOUGH_OF_ALL
            && grape.known.iter().filter(|other| cluster.contains(other)).count() < wanted
    };
    let mut names: Vec<_> =
        answered.iter().filter(too_few).map(|grape| grape.name.to_owned()).collect();
    names.sort_unstable();
    names
}

/// Union-find over addresses: by size, with path halving.
#[derive(Default)]
struct Groups {
    vertices: HashMap<SocketAddr, usize>,
    parents: Vec<usize>,
    sizes: Vec<usize>,
}

impl Groups {
    fn vertex(&mut self, address: SocketAddr) -> usize {
        let next = self.parents.len();
        let vertex = *self.vertices.entry(address).or_insert(next);
        if vertex == next {
            self.parents.push(next);
            self.sizes.push(1);
        }
        vertex
    }

    fn root(&mut self, mut vertex: usize) -> usize {
        while self.parents[vertex] != vertex {
            self.parents[vertex] = self.parents[self.parents[vertex]];
            vertex = self.parents[vertex];
        }
        vertex
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        if a == b {
            return;
        }
        let (small, large) = if self.sizes[a] < self.sizes[b] { (a, b) } else { (b, a) };
        self.parents[small] = large;
        self.sizes[large] += self.sizes[small];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(node: usize) -> SocketAddr {
        SocketAddr::from(([10, 0, (node >> 8) as u8, node as u8], 20001))
    }

    /// A Grape that knows these nodes; numbers that no Grape has are outside nodes.
    fn view(number: usize, knows: &[usize]) -> View {
        View {
            name: format!("market-{number}"),
            address: address(number),
            live: Ok(knows.iter().map(|node| address(*node)).collect()),
        }
    }

    fn gone(number: usize) -> View {
        View { live: Err(CallError::Refused), ..view(number, &[]) }
    }

    fn names(numbers: &[usize]) -> Vec<String> {
        numbers.iter().map(|number| format!("market-{number}")).collect()
    }

    #[test]
    fn three_that_see_each_other_are_one_partition() {
        let topology = Topology::of(&[view(2, &[0, 1]), view(0, &[1, 2]), view(1, &[0, 2, 900])]);
        let expected = Topology {
            answered: 3,
            unreachable: Vec::new(),
            nodes: 3,
            min_known_nodes: 2,
            mean_known_nodes: 7.0 / 3.0,
            partitions: vec![names(&[0, 1, 2])],
            sees_too_few: Vec::new(),
        };
        assert_eq!(topology, expected);
        assert!(!topology.is_partitioned());
    }

    #[test]
    fn a_cluster_without_answers_has_no_partitions() {
        assert_eq!(Topology::of(&[]), Topology::default());
        let topology = Topology::of(&[gone(0)]);
        assert_eq!(
            (topology.answered, topology.mean_known_nodes, topology.partitions.len()),
            (0, 0.0, 0)
        );
        assert_eq!(topology.unreachable[0].why, CallError::Refused);
    }

    #[test]
    fn a_single_grape_is_one_partition_and_sees_enough() {
        let topology = Topology::of(&[view(0, &[])]);
        assert_eq!(topology.partitions, [names(&[0])]);
        assert!(topology.sees_too_few.is_empty() && !topology.is_partitioned());
    }

    #[test]
    fn partitions_are_listed_largest_first_then_by_name() {
        let topology = Topology::of(&[
            view(6, &[5]),
            view(5, &[6]),
            view(3, &[4]),
            view(4, &[3]),
            view(0, &[1]),
            view(1, &[0, 2]),
            view(2, &[1]),
        ]);
        assert_eq!(topology.partitions, [names(&[0, 1, 2]), names(&[3, 4]), names(&[5, 6])]);
        assert_eq!(topology.sees_too_few.len(), 7);
    }

    #[test]
    fn one_of_two_that_knows_the_other_is_enough_to_connect_them() {
        let topology = Topology::of(&[view(0, &[1]), view(1, &[])]);
        assert_eq!(topology.partitions, [names(&[0, 1])]);
        assert_eq!(topology.sees_too_few, names(&[1]));
    }

    #[test]
    fn a_node_outside_connects_and_is_not_listed() {
        let topology = Topology::of(&[view(0, &[900]), view(1, &[900])]);
        assert_eq!(topology.partitions, [names(&[0, 1])]);
        assert_eq!(topology.sees_too_few, names(&[0, 1]), "they do not know each other yet");
    }

    #[test]
    fn a_grape_that_did_not_answer_is_in_no_partition_though_others_see_it() {
        let topology = Topology::of(&[view(0, &[2]), view(1, &[2]), gone(2)]);
        assert_eq!(topology.partitions, [names(&[0, 1])]);
        assert_eq!(topology.unreachable.len(), 1);
    }

    #[test]
    fn an_address_counts_once_and_the_own_one_not_at_all() {
        // A restarted Grape is listed under its old id and its new one.
        let topology = Topology::of(&[view(0, &[0, 1, 1]), view(1, &[0])]);
        assert_eq!((topology.nodes, topology.min_known_nodes), (1, 1));
    }

    #[test]
    fn in_a_large_cluster_eight_others_are_enough() {
        let near = |number: usize, count: usize| {
            let knows: Vec<_> = (1..=count).map(|step| (number + step) % 30).collect();
            view(number, &knows)
        };
        let mut views: Vec<_> = (0..30).map(|number| near(number, 8)).collect();
        assert!(Topology::of(&views).sees_too_few.is_empty());
        views[3] = near(3, 7);
        assert_eq!(Topology::of(&views).sees_too_few, names(&[3]));
    }

    #[test]
    fn in_a_large_dht_the_places_may_belong_to_others() {
        let outside: Vec<_> = (900..900 + ENOUGH_OF_ALL).collect();
        let topology = Topology::of(&[view(0, &outside), view(1, &outside[1..]), view(2, &[0, 1])]);
        assert_eq!(topology.sees_too_few, names(&[1]));
        assert!(!topology.is_partitioned());
    }

    #[test]
    fn a_thousand_grapes_take_bounded_work() {
        // The largest case: every Grape lists every other one.
        let all: Vec<_> = (0..1000).collect();
        let views: Vec<_> = all.iter().map(|number| view(*number, &all)).collect();
        let started = grape::clock::now();
        let topology = Topology::of(&views);
        let took = started.elapsed();
        assert_eq!((topology.answered, topology.partitions.len(), topology.nodes), (1000, 1, 999));
        // A million entries, each looked up a few times. Quadratic work would not end.
        assert!(took.as_secs() < 20, "{took:?}");
    }

    proptest! {
        /// Against the plainest way: spread a mark until nothing changes.
        #[test]
        fn partitions_are_the_sets_of_connected_grapes(
            edges in proptest::collection::vec((0_usize..12, 0_usize..16), 0..20),
            order in Just((0..12).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let knows = |number: usize| -> Vec<usize> {
                edges.iter().filter(|(from, _)| *from == number).map(|(_, to)| *to).collect()
            };
            let views: Vec<_> = order.iter().map(|number| view(*number, &knows(*number))).collect();
            let topology = Topology::of(&views);

            let mut marks: Vec<usize> = (0..16).collect();
            for _ in 0..16 {
                for (from, to) in &edges {
                    let mark = marks[*from].min(marks[*to]);
                    (marks[*from], marks[*to]) = (mark, mark);
                }
            }
            let island_of = |number: usize| {
                let name = format!("market-{number}");
                topology.partitions.iter().position(|partition| partition.contains(&name)).unwrap()
            };
            for a in 0..12 {
                for b in 0..12 {
                    prop_assert_eq!(marks[a] == marks[b], island_of(a) == island_of(b));
                }
            }
            prop_assert_eq!(topology.partitions.iter().map(Vec::len).sum::<usize>(), 12);
            prop_assert!(topology.partitions.is_sorted_by_key(|partition| std::cmp::Reverse(partition.len())));
            // The order of the answers does not matter.
            let sorted: Vec<_> = (0..12).map(|number| view(number, &knows(number))).collect();
            prop_assert_eq!(topology, Topology::of(&sorted));
        }
    }
}
