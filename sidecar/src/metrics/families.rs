//! Metric families of numbers that are counted elsewhere: by the DHT, and by the services' register.

use grape_engine::gossip::GossipCounters;
use grape_engine::{
    ADDRESS_REFUSALS, Bound, OTHER_NETWORK_MESSAGES, QUERY_METHODS, RESOURCES, Stats,
};
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};

use crate::services::{Counts, Reason};

/// What the DHT counted.
pub(super) fn of_dht(stats: &Stats, ready: bool) -> Vec<MetricFamily> {
    let one = |n: u64| vec![(None, float(n))];
    let sources = |memory, walked| {
        vec![(Some(("source", "memory")), float(memory)), (Some(("source", "walk")), float(walked))]
    };
    let methods = |counts: &[u64; QUERY_METHODS.len()]| {
        let counts = QUERY_METHODS.iter().zip(counts);
        counts.map(|(&method, &n)| (Some(("method", method)), float(n))).collect()
    };
    let refusals = ADDRESS_REFUSALS.iter().zip(&stats.addresses_refused);
    let refusals = refusals.map(|(&reason, &n)| (Some(("reason", reason)), float(n))).collect();
    let others = OTHER_NETWORK_MESSAGES.iter().zip(&stats.other_network);
    let others = others.map(|(&kind, &n)| (Some(("kind", kind)), float(n))).collect();
    let counters = [
        ("packets_received", "Datagrams received.", one(stats.packets_received)),
        ("packets_sent", "Datagrams sent.", one(stats.packets_sent)),
        ("received_bytes", "Bytes received in datagrams.", one(stats.bytes_received)),
        ("sent_bytes", "Bytes sent in datagrams.", one(stats.bytes_sent)),
        ("malformed_packets", "Datagrams that were no KRPC message.", one(stats.malformed)),
        (
            "addresses_refused",
            "Impossible addresses that others announced or sent, by reason.",
            refusals,
        ),
        (
            "other_network_messages",
            "Messages from Grapes of other networks: queries, which are refused, and answers.",
            others,
        ),
        ("queries_received", "Queries received.", methods(&stats.queries_received)),
        ("queries_sent", "Queries sent.", methods(&stats.queries_sent)),
        ("query_timeouts", "Queries sent that were never answered.", one(stats.timeouts)),
        (
            "query_errors",
            "Queries sent that were answered with an error.",
            one(stats.errors_received),
        ),
        (
            "names_dropped",
            "Names dropped with their peers to make room for others.",
            one(stats.names_dropped),
        ),
        (
            "lookups",
            "Lookups, by source: memory, or walk (an iterative lookup through the DHT).",
            sources(stats.lookups_from_memory, stats.lookups_from_dht),
        ),
        ("empty_lookups", "Lookups without a peer.", one(stats.lookups_empty)),
        (
            "announces",
            "Announces, by source: memory (the holders were already known), or walk (they had to be \
             searched for).",
            sources(stats.announces_from_memory, stats.announces_from_dht),
        ),
    ];
    let size = |n: usize| one(u64::try_from(n).unwrap_or(u64::MAX));
    let gauges = [
        ("dht_nodes", "Nodes in the routing table.", size(stats.nodes)),
        ("dht_names", "Names of which peers are stored.", size(stats.names_held)),
        ("dht_peers", "Peers stored, of all names.", size(stats.peers_held)),
        ("dht_items", "BEP 44 items stored.", size(stats.items_held)),
        ("dht_announced", "Active announces of services of this host.", size(stats.announced)),
        (
            "ready",
            "1 if /readyz says ready: the Grape has joined others or is the first, and is not being stopped.",
            one(ready.into()),
        ),
    ];
    let counters = counters.into_iter().map(|(name, help, samples)| {
        family(&format!("grape_dht_{name}_total"), help, MetricType::COUNTER, samples)
    });
    let gauges = gauges.into_iter().map(|(name, help, samples)| {
        family(&format!("grape_{name}"), help, MetricType::GAUGE, samples)
    });
    counters.chain(gauges).collect()
}

/// What became of the services here. How many are announced is `grape_dht_announced`.
pub(super) fn of_services(counts: &Counts) -> [MetricFamily; 2] {
    let samples = |counts: &[u64; Reason::LABELS.len()]| {
        let counts = Reason::LABELS.iter().zip(counts);
        counts.map(|(&reason, &n)| (Some(("reason", reason)), float(n))).collect()
    };
    [
        family(
            "grape_services_held_back",
            "Services of this host that the Grape does not announce, by reason.",
            MetricType::GAUGE,
            samples(&counts.held_back),
        ),
        family(
            "grape_services_withdrawals_total",
            "Services that the Grape withdrew by itself, by reason.",
            MetricType::COUNTER,
            samples(&counts.withdrawals),
        ),
    ]
}

/// What is held, or done, for others, and its bounds: those of the DHT, and the rest.
pub(super) fn of_bounds(
    dht: &[Bound; RESOURCES.len()],
    rest: &[(&'static str, Bound)],
) -> [MetricFamily; 2] {
    let of_dht = RESOURCES.iter().copied().zip(dht.iter().copied());
    let all: Vec<_> = of_dht.chain(rest.iter().copied()).collect();
    let samples = |number: fn(Bound) -> usize| {
        let number = |bound| float(u64::try_from(number(bound)).unwrap_or(u64::MAX));
        all.iter().map(|(name, bound)| (Some(("resource", *name)), number(*bound))).collect()
    };
    [
        family(
            "grape_bound",
            "Most of each resource that the Grape gives to others.",
            MetricType::GAUGE,
            samples(|bound| bound.most),
        ),
        family(
            "grape_bound_used",
            "How much of each resource is used now.",
            MetricType::GAUGE,
            samples(|bound| bound.used),
        ),
    ]
}

/// What the gossip of groups counted; zeros without a group.
pub(super) fn of_gossip(groups: usize, counters: &GossipCounters) -> Vec<MetricFamily> {
    let one = |n: u64| vec![(None, float(n))];
    let by = |label: &'static str, counts: &[(&'static str, u64)]| {
        counts.iter().map(|(value, n)| (Some((label, *value)), float(*n))).collect::<Vec<_>>()
    };
    let refused = by(
        "reason",
        &[
            ("malformed", counters.malformed),
            ("other_group", counters.other_group),
            ("other_network", counters.other_network),
            ("unproved", counters.unproved),
        ],
    );
    let left_out = by(
        "kind",
        &[
            ("addresses", counters.candidates_left_out),
            ("keys", counters.keys_left_out),
            ("members", counters.members_left_out),
        ],
    );
    let counters = [
        ("packets_received", "Datagrams of groups received.", one(counters.packets_received)),
        ("packets_sent", "Datagrams of groups sent.", one(counters.packets_sent)),
        ("received_bytes", "Bytes received in datagrams of groups.", one(counters.bytes_received)),
        ("sent_bytes", "Bytes sent in datagrams of groups.", one(counters.bytes_sent)),
        (
            "throttled",
            "Datagrams of groups not sent, to stay within the limit.",
            one(counters.throttled),
        ),
        ("refused", "Datagrams of groups that were refused, by reason.", refused),
        (
            "left_out",
            "Members, addresses and keys of groups left out because of a limit.",
            left_out,
        ),
    ];
    let groups = one(u64::try_from(groups).unwrap_or(u64::MAX));
    let groups =
        family("grape_gossip_groups", "Groups that this Grape is in.", MetricType::GAUGE, groups);
    let counters = counters.into_iter().map(|(name, help, samples)| {
        family(&format!("grape_gossip_{name}_total"), help, MetricType::COUNTER, samples)
    });
    counters.chain([groups]).collect()
}

/// Prometheus knows no numbers but floats; up to 2^53 they are exact.
pub(super) fn float(n: u64) -> f64 {
    n as f64
}

pub(super) type Sample = (Option<(&'static str, &'static str)>, f64);

pub(super) fn family(
    name: &str,
    help: &str,
    kind: MetricType,
    samples: Vec<Sample>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(samples.into_iter().map(|sample| metric(sample, kind)).collect());
    family
}

fn metric((label, value): Sample, kind: MetricType) -> Metric {
    let mut metric = Metric::default();
    if let Some((name, value)) = label {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        metric.set_label(vec![pair]);
    }
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    metric
}
