//! A Grape's metrics for Prometheus. Each Grape has a registry of its own, so that several can run in
//! one process; what the DHT counts is read when Prometheus asks.

mod families;
mod labels;
pub mod process;

use std::time::Duration;

use grape_engine::gossip::GossipCounters;
use grape_engine::{Bound, Stats};
use hyper::StatusCode;
use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts,
    Registry, TextEncoder,
};

use crate::http::Verb;
use crate::services::Counts;

pub(crate) use labels::{Endpoint, Introduced};

/// Upper bounds of the request durations' buckets in seconds: a cached lookup takes some 50 µs, an
/// iterative one milliseconds, and one past dead nodes up to seconds.
const DURATIONS: [f64; 14] =
    [5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.5, 1.0, 2.5];

/// Classes of status that are counted separately.
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
    /// Those of the admin address.
    admin_connections: IntGauge,
    websockets: IntGauge,
    watches: IntGauge,
    crowded_out: IntCounter,
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
        let crowded_out = IntCounter::new(
            "grape_api_connections_crowded_out_total",
            "Connections that were closed because there were too many.",
        )?;
        let version = Opts::new("grape_build_info", "The Grape's version; the value is always 1.")
            .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(version)?;
        build.set(1);

        let parts: [Box<dyn Collector>; 7] = [
            Box::new(crowded_out.clone()),
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
            // Shown with their bound.
            admin_connections: IntGauge::new("admin", "admin")?,
            websockets,
            watches,
            crowded_out,
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

    /// So many connections made room for others, or had no place.
    pub(crate) fn crowded_out(&self, connections: usize) {
        self.crowded_out.inc_by(u64::try_from(connections).unwrap_or(u64::MAX));
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

    /// A connection, `admin` if it came to the address of the admin pages.
    pub(crate) fn connection(&self, admin: bool) -> (Open, Option<Open>) {
        (open(&self.connections), admin.then(|| open(&self.admin_connections)))
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

    /// How many connections the API and the address of the admin pages have.
    pub(crate) fn connections_of_each(&self) -> [usize; 2] {
        let admin = usize::try_from(self.admin_connections.get()).unwrap_or_default();
        [self.connections_open().saturating_sub(admin), admin]
    }

    /// All metrics in Prometheus' text format. `bounds` are those of the API and of groups.
    ///
    /// # Errors
    /// When a metric cannot be written, which its name or labels alone can cause.
    pub(crate) fn exposition(
        &self,
        stats: &Stats,
        services: &Counts,
        (groups, gossip): (usize, &GossipCounters),
        bounds: &[(&'static str, Bound)],
        ready: bool,
    ) -> Result<Vec<u8>, prometheus::Error> {
        let mut all = self.registry.gather();
        all.extend(families::of_dht(stats, ready));
        all.extend(families::of_services(services));
        all.extend(families::of_gossip(groups, gossip));
        all.extend(families::of_bounds(&stats.bounds, bounds));
        all.extend(process::families());
        all.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new().encode(&all, &mut text)?;
        Ok(text)
    }
}

fn open(gauge: &IntGauge) -> Open {
    gauge.inc();
    Open(gauge.clone())
}

#[cfg(test)]
mod tests {
    use grape_engine::RESOURCES;

    use super::*;
    use crate::services::Reason;

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
        let gossip = GossipCounters { other_network: 9, ..GossipCounters::default() };
        let peers = RESOURCES.iter().position(|resource| *resource == "peers").unwrap();
        stats.bounds[peers] = Bound { used: 5, most: 100 };
        let bounds = [("watches", Bound { used: 1, most: 1024 })];
        let text = String::from_utf8(
            metrics.exposition(&stats, &counts, (2, &gossip), &bounds, true).unwrap(),
        )
        .unwrap();
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
            "grape_gossip_groups 2",
            r#"grape_gossip_refused_total{reason="other_network"} 9"#,
            "grape_watches 1",
            r#"grape_bound{resource="peers"} 100"#,
            r#"grape_bound_used{resource="peers"} 5"#,
            r#"grape_bound_used{resource="watches"} 1"#,
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
        let gossip = (0, &GossipCounters::default());
        let text = metrics.exposition(stats, &Counts::default(), gossip, &[], true);
        String::from_utf8(text.unwrap()).unwrap()
    }
}
