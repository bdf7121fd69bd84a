//! What a Grape tells Prometheus. Each Grape has a registry of its own, so that several can run in
//! one process; what the DHT counts is read when it is asked for.

pub mod process;

use std::time::Duration;

use grape_engine::{ADDRESS_REFUSALS, OTHER_NETWORK_MESSAGES, QUERY_METHODS, Stats};
use hyper::StatusCode;
use prometheus::core::Collector;
use prometheus::proto::{Counter, Gauge, LabelPair, Metric, MetricFamily, MetricType};
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use crate::http::Verb;
use crate::services::{Counts, Reason};

/// Upper bounds of the request durations' buckets in seconds: a hot lookup takes some 50 µs, a walk
/// milliseconds, a walk past dead nodes up to seconds.
const DURATIONS: [f64; 14] =
    [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 1.0, 2.5];

/// What a request asks for, as a label: as many as are listed here, whatever is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    /// A verb, over HTTP or a WebSocket.
    Verb(Verb),
    /// A watch.
    Watch,
    /// A drain.
    Drain,
    /// An introduction to other Grapes.
    Introduction,
    /// A page for operators.
    Admin,
    /// A path or frame that names nothing.
    Unknown,
}

impl Endpoint {
    const ALL: [Self; 10] = [
        Self::Verb(Verb::Lookup),
        Self::Verb(Verb::Announce),
        Self::Verb(Verb::Withdraw),
        Self::Verb(Verb::Put),
        Self::Verb(Verb::Get),
        Self::Watch,
        Self::Drain,
        Self::Introduction,
        Self::Admin,
        Self::Unknown,
    ];

    fn label(self) -> &'static str {
        match self {
            Self::Verb(verb) => verb.name(),
            Self::Watch => "watch",
            Self::Drain => "drain",
            Self::Introduction => "introduce",
            Self::Admin => "admin",
            Self::Unknown => "unknown",
        }
    }

    fn index(self) -> usize {
        match self {
            Self::Verb(verb) => verb as usize,
            Self::Watch => 5,
            Self::Drain => 6,
            Self::Introduction => 7,
            Self::Admin => 8,
            Self::Unknown => 9,
        }
    }
}

/// What became of an introduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Introduced {
    /// The addresses were pinged.
    Taken,
    /// It is none, or nobody can be at one of its addresses.
    Invalid,
    /// Another one came just before.
    TooSoon,
}

impl Introduced {
    const ALL: [Self; 3] = [Self::Taken, Self::Invalid, Self::TooSoon];

    fn label(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Invalid => "invalid",
            Self::TooSoon => "too_soon",
        }
    }
}

/// Classes of status that are told apart.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];

/// A Grape's metrics. Every child of a labelled metric is made at the start: counting a request
/// is an atomic addition, and a rate is seen from its first request on.
pub(crate) struct Metrics {
    registry: Registry,
    answered: [[IntCounter; CLASSES.len()]; Endpoint::ALL.len()],
    refused: [IntCounter; Endpoint::ALL.len()],
    took: [Histogram; Verb::ALL.len()],
    introduced: [IntCounter; Introduced::ALL.len()],
    in_flight: IntGauge,
    connections: IntGauge,
    websockets: IntGauge,
    watches: IntGauge,
    panics: IntCounter,
}

/// Something that is open, counted until it is dropped.
pub(crate) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A request that is being answered, counted until it is dropped.
pub(crate) struct InFlight<'a>(&'a IntGauge);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Metrics in a registry of their own.
    ///
    /// # Errors
    /// When two metrics clash.
    pub(crate) fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let answered = IntCounterVec::new(
            Opts::new("grape_api_requests_total", "Requests answered, over HTTP and WebSocket."),
            &["verb", "code"],
        )?;
        let refused = IntCounterVec::new(
            Opts::new(
                "grape_api_refusals_total",
                "Requests answered with an error text; most have status 200.",
            ),
            &["verb"],
        )?;
        let took = HistogramVec::new(
            HistogramOpts::new(
                "grape_api_request_duration_seconds",
                "Time from a request's head to its answer.",
            )
            .buckets(DURATIONS.to_vec()),
            &["verb"],
        )?;
        let introduced = IntCounterVec::new(
            Opts::new(
                "grape_introductions_total",
                "Requests of the operator to ping other Grapes, by result.",
            ),
            &["result"],
        )?;
        let gauge = |name, help| -> Result<IntGauge, prometheus::Error> {
            let gauge = IntGauge::new(name, help)?;
            registry.register(Box::new(gauge.clone()))?;
            Ok(gauge)
        };
        let in_flight = gauge("grape_api_requests_in_flight", "Requests being answered.")?;
        let connections = gauge("grape_api_connections", "Connections open, WebSockets included.")?;
        let websockets = gauge("grape_websocket_connections", "WebSockets open.")?;
        let watches = gauge("grape_watches", "Watches open.")?;
        let panics = IntCounter::new(
            "grape_connection_panics_total",
            "Connections that failed because of a defect in this program.",
        )?;
        let version = Opts::new("grape_build_info", "The Grape's version; the value is always 1.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(version)?;
        build.set(1);

        let parts: [Box<dyn Collector>; 6] = [
            Box::new(introduced.clone()),
            Box::new(answered.clone()),
            Box::new(refused.clone()),
            Box::new(took.clone()),
            Box::new(panics.clone()),
            Box::new(build),
        ];
        for part in parts {
            registry.register(part)?;
        }
        Ok(Self {
            answered: Endpoint::ALL.map(|endpoint| {
                CLASSES.map(|class| answered.with_label_values(&[endpoint.label(), class]))
            }),
            refused: Endpoint::ALL.map(|endpoint| refused.with_label_values(&[endpoint.label()])),
            introduced: Introduced::ALL.map(|it| introduced.with_label_values(&[it.label()])),
            took: Verb::ALL.map(|verb| took.with_label_values(&[verb.name()])),
            registry,
            in_flight,
            connections,
            websockets,
            watches,
            panics,
        })
    }

    /// A request was answered.
    pub(crate) fn answered(&self, endpoint: Endpoint, status: StatusCode) {
        let class = usize::from(status.as_u16() / 100).saturating_sub(2).min(CLASSES.len() - 1);
        self.answered[endpoint.index()][class].inc();
    }

    /// A request was answered with an error text.
    pub(crate) fn refused(&self, endpoint: Endpoint) {
        self.refused[endpoint.index()].inc();
    }

    /// How long a verb's answer took.
    pub(crate) fn took(&self, verb: Verb, time: Duration) {
        self.took[verb as usize].observe(time.as_secs_f64());
    }

    /// An introduction was taken, or refused.
    pub(crate) fn introduced(&self, result: Introduced) {
        self.introduced[result as usize].inc();
    }

    /// A task of a connection panicked.
    pub(crate) fn panicked(&self) {
        self.panics.inc();
    }

    /// A request that is being answered.
    pub(crate) fn request(&self) -> InFlight<'_> {
        self.in_flight.inc();
        InFlight(&self.in_flight)
    }

    /// A connection.
    pub(crate) fn connection(&self) -> Open {
        open(&self.connections)
    }

    /// A connection that became a WebSocket.
    pub(crate) fn websocket(&self) -> Open {
        open(&self.websockets)
    }

    /// A watch.
    pub(crate) fn watch(&self) -> Open {
        open(&self.watches)
    }

    /// How many connections are open.
    pub(crate) fn connections_open(&self) -> usize {
        usize::try_from(self.connections.get()).unwrap_or_default()
    }

    /// All metrics in Prometheus' text format.
    ///
    /// # Errors
    /// When a metric cannot be written, which its name or labels alone can cause.
    pub(crate) fn exposition(
        &self,
        stats: &Stats,
        services: &Counts,
        ready: bool,
    ) -> Result<Vec<u8>, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend(dht_families(stats, ready));
        families.extend(services_families(services));
        families.extend(process::families());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }
}

fn open(gauge: &IntGauge) -> Open {
    gauge.inc();
    Open(gauge.clone())
}

/// What the DHT counted.
fn dht_families(stats: &Stats, ready: bool) -> Vec<MetricFamily> {
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
            "Addresses announced or sent by others at which nobody can be, by reason.",
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
            "Names dropped with their peers because there were more than --dht_maxTables.",
            one(stats.names_dropped),
        ),
        (
            "lookups",
            "Lookups, by source: memory, or walk (an iterative lookup through the DHT).",
            sources(stats.lookups_from_memory, stats.lookups_from_dht),
        ),
        ("empty_lookups", "Lookups that found nobody.", one(stats.lookups_empty)),
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
fn services_families(counts: &Counts) -> [MetricFamily; 2] {
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

/// Prometheus knows no numbers but floats; up to 2^53 they are exact.
fn float(n: u64) -> f64 {
    n as f64
}

type Sample = (Option<(&'static str, &'static str)>, f64);

fn family(name: &str, help: &str, kind: MetricType, samples: Vec<Sample>) -> MetricFamily {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_are_positions() {
        for (position, asked) in Endpoint::ALL.into_iter().enumerate() {
            assert_eq!(asked.index(), position, "{asked:?}");
        }
    }

    #[test]
    fn what_is_counted_is_shown() {
        let metrics = Metrics::new().unwrap();
        let lookup = Endpoint::Verb(Verb::Lookup);
        metrics.answered(lookup, StatusCode::OK);
        metrics.answered(lookup, StatusCode::SWITCHING_PROTOCOLS);
        metrics.answered(Endpoint::Unknown, StatusCode::INTERNAL_SERVER_ERROR);
        metrics.refused(lookup);
        metrics.took(Verb::Lookup, Duration::from_micros(70));
        let open = metrics.watch();
        let mut stats = Stats { packets_sent: 7, nodes: 3, ..Stats::default() };
        stats.queries_sent[2] = 5;
        stats.addresses_refused[0] = 8;
        let mut counts = Counts::default();
        counts.withdrawals[Reason::PortRefuses.index()] = 4;
        counts.held_back[Reason::NotReady(1).index()] = 6;
        let text = String::from_utf8(metrics.exposition(&stats, &counts, true).unwrap()).unwrap();
        for line in [
            r#"grape_api_requests_total{code="2xx",verb="lookup"} 2"#,
            r#"grape_api_requests_total{code="5xx",verb="unknown"} 1"#,
            r#"grape_api_requests_total{code="3xx",verb="put"} 0"#,
            r#"grape_api_refusals_total{verb="lookup"} 1"#,
            r#"grape_api_request_duration_seconds_bucket{verb="lookup",le="0.0001"} 1"#,
            r#"grape_dht_queries_sent_total{method="get_peers"} 5"#,
            r#"grape_dht_addresses_refused_total{reason="port_0"} 8"#,
            "grape_dht_packets_sent_total 7",
            "grape_dht_nodes 3",
            "grape_ready 1",
            r#"grape_services_withdrawals_total{reason="port_refuses"} 4"#,
            r#"grape_services_withdrawals_total{reason="drained"} 0"#,
            r#"grape_services_held_back{reason="not_ready"} 6"#,
            "grape_watches 1",
            "# TYPE grape_dht_nodes gauge",
            "# TYPE grape_dht_packets_sent_total counter",
            concat!("grape_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
        }
        drop(open);
        assert!(exposition(&metrics, &stats).contains("\ngrape_watches 0\n"));
    }

    #[test]
    fn names_and_types_follow_the_conventions() {
        let text = exposition(&Metrics::new().unwrap(), &Stats::default());
        for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let (name, kind) = line.split_once(' ').unwrap();
            assert!(name.starts_with("grape_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), kind == "counter", "{name} is a {kind}");
        }
    }

    fn exposition(metrics: &Metrics, stats: &Stats) -> String {
        String::from_utf8(metrics.exposition(stats, &Counts::default(), true).unwrap()).unwrap()
    }
}
