//! The operator's metrics: of itself, and of each cluster.
//!
//! Counters are in a registry. The figures of a cluster are kept as they were reported, and become
//! metrics when they are scraped, so that no series of a deleted cluster can stay.

mod health;

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry, TextEncoder,
};

pub use health::Health;
use health::Key;

use crate::observe::call;

/// Upper bounds of the reconcile durations' buckets in seconds: a reconcile takes some ten requests
/// of milliseconds each; many at once wait for the API server; and the last buckets are its
/// timeouts.
const DURATIONS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 1.0, 2.5, 10.0, 30.0];

/// How a reconciliation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReconcileResult {
    /// The cluster is as its spec wants it, or becomes so.
    Ok,
    /// The spec cannot be used.
    Invalid,
    /// Something failed, and is tried again.
    Error,
}

impl ReconcileResult {
    const ALL: [Self; 3] = [Self::Ok, Self::Invalid, Self::Error];

    fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Invalid => "invalid",
            Self::Error => "error",
        }
    }
}

/// The operator's metrics, in a registry of their own.
pub struct Metrics {
    registry: Registry,
    leader: IntGauge,
    reconciled: [Histogram; ReconcileResult::ALL.len()],
    queue: IntGauge,
    injections: IntCounterVec,
    grape_requests: IntCounterVec,
    unwatched: IntGaugeVec,
    /// Start and end of the certificate's validity; neither is shown before a certificate is
    /// served.
    certificate: [IntGaugeVec; 2],
    clusters: Mutex<BTreeMap<Key, Health>>,
}

impl Metrics {
    /// Metrics of an operator that does not lead, and knows no cluster.
    ///
    /// # Errors
    ///
    /// When two metrics clash.
    pub fn new() -> Result<Self, prometheus::Error> {
        let leader = IntGauge::new("grape_operator_leader", "1 on the replica that leads.")?;
        let queue = IntGauge::new(
            "grape_operator_queue_depth",
            "Clusters waiting to be reconciled, or being reconciled.",
        )?;
        let reconciled = HistogramVec::new(
            HistogramOpts::new(
                "grape_operator_reconcile_duration_seconds",
                "Time that one reconciliation of one cluster took.",
            )
            .buckets(DURATIONS.to_vec()),
            &["result"],
        )?;
        let injections = IntCounterVec::new(
            Opts::new(
                "grape_operator_injections_total",
                "Pods that the webhook was asked about, by what became of them.",
            ),
            &["result", "reason"],
        )?;
        let grape_requests = IntCounterVec::new(
            Opts::new("grape_operator_grape_requests_total", "Requests to Grapes, by path."),
            &["path"],
        )?;
        for path in call::PATHS {
            grape_requests.with_label_values(&[path]);
        }
        let unwatched = IntGaugeVec::new(
            Opts::new(
                "grape_operator_namespace_unwatched",
                "1 for a namespace whose GrapeClusters cannot be watched; `all` is all of them.",
            ),
            &["namespace"],
        )?;
        let certificate = |name: &str, help| {
            let name = format!("grape_operator_webhook_certificate_{name}_timestamp_seconds");
            IntGaugeVec::new(Opts::new(name, help), &[])
        };
        let certificate = [
            certificate("start", "Unix time from which the webhook's certificate is valid.")?,
            certificate("expiry", "Unix time at which the webhook's certificate ends.")?,
        ];
        let version = Opts::new(
            "grape_operator_build_info",
            "The operator's version; the value is always 1.",
        )
        .const_label("version", env!("CARGO_PKG_VERSION"));
        let build = IntGauge::with_opts(version)?;
        build.set(1);
        let registry = Registry::new();
        let [start, expiry] = certificate.clone();
        let parts: [Box<dyn Collector>; 9] = [
            Box::new(leader.clone()),
            Box::new(queue.clone()),
            Box::new(reconciled.clone()),
            Box::new(injections.clone()),
            Box::new(grape_requests.clone()),
            Box::new(unwatched.clone()),
            Box::new(start),
            Box::new(expiry),
            Box::new(build),
        ];
        for part in parts {
            registry.register(part)?;
        }
        Ok(Self {
            registry,
            leader,
            // Created at the start, so that a rate is seen from the first event on.
            reconciled: ReconcileResult::ALL
                .map(|outcome| reconciled.with_label_values(&[outcome.label()])),
            queue,
            injections,
            grape_requests,
            unwatched,
            certificate,
            clusters: Mutex::default(),
        })
    }

    /// Whether this replica leads.
    pub fn leader(&self, leads: bool) {
        self.leader.set(leads.into());
    }

    /// A reconciliation ended.
    pub fn reconciled(&self, result: ReconcileResult, took: Duration) {
        self.reconciled[result as usize].observe(took.as_secs_f64());
    }

    /// How many clusters are waiting or being reconciled.
    pub fn queue(&self, depth: usize) {
        self.queue.set(i64::try_from(depth).unwrap_or(i64::MAX));
    }

    /// The verdict on a pod, with its reason.
    pub fn injection(&self, result: &str, reason: impl Display) {
        self.injections.with_label_values(&[result, &reason.to_string()]).inc();
    }

    /// The counter of requests to Grapes, by their path.
    pub fn grape_requests(&self) -> IntCounterVec {
        self.grape_requests.clone()
    }

    /// Whether the GrapeClusters of a namespace cannot be watched.
    pub fn unwatched(&self, namespace: &str, is: bool) {
        if is {
            self.unwatched.with_label_values(&[namespace]).set(1);
        } else {
            // Fails if the series did not exist.
            let _ = self.unwatched.remove_label_values(&[namespace]);
        }
    }

    /// The webhook serves a certificate that is valid from `start` to `expiry`, as Unix times.
    pub fn certificate(&self, start: i64, expiry: i64) {
        for (gauge, time) in self.certificate.iter().zip([start, expiry]) {
            gauge.with_label_values::<&str>(&[]).set(time);
        }
    }

    /// The figures of a cluster. They replace all earlier ones.
    pub fn cluster(&self, namespace: &str, name: &str, health: &Health) {
        self.clusters().insert((namespace.to_owned(), name.to_owned()), health.clone());
    }

    /// A cluster was deleted, and so are its series.
    pub fn forget(&self, namespace: &str, name: &str) {
        self.clusters().remove(&(namespace.to_owned(), name.to_owned()));
    }

    /// All metrics in Prometheus' text format, with those of the process.
    ///
    /// # Errors
    ///
    /// When a metric cannot be written, which its name or labels alone can cause.
    pub fn exposition(&self) -> Result<Vec<u8>, prometheus::Error> {
        let mut families = self.registry.gather();
        families.extend(health::families(&self.clusters())?);
        families.extend(grape::metrics::process::families());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        let mut text = Vec::with_capacity(16 << 10);
        TextEncoder::new().encode(&families, &mut text)?;
        Ok(text)
    }

    fn clusters(&self) -> MutexGuard<'_, BTreeMap<Key, Health>> {
        self.clusters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn text(metrics: &Metrics) -> String {
        String::from_utf8(metrics.exposition().unwrap()).unwrap()
    }

    #[test]
    fn outcomes_are_indices() {
        for (position, outcome) in ReconcileResult::ALL.into_iter().enumerate() {
            assert_eq!(outcome as usize, position, "{outcome:?}");
        }
    }

    #[test]
    fn the_page_of_metrics_has_all_of_the_operator() {
        let metrics = Metrics::new().unwrap();
        metrics.injection("refused", "PortTaken");
        metrics.unwatched("market", true);
        metrics.certificate(1, 2);
        let shown = text(&metrics);
        let types =
            shown.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next());
        let shown: BTreeSet<_> = types.filter(|name| name.starts_with("grape_operator_")).collect();
        let page = include_str!("../../docs/metrics.md");
        let documented = page.split("\n## Of the operator\n").nth(1).unwrap().split('`');
        assert_eq!(shown, documented.filter(|word| word.starts_with("grape_operator_")).collect());
    }

    #[test]
    fn the_operator_is_shown_from_the_start() {
        let metrics = Metrics::new().unwrap();
        let before = text(&metrics);
        metrics.leader(true);
        metrics.queue(3);
        metrics.reconciled(ReconcileResult::Invalid, Duration::from_millis(70));
        metrics.injection("refused", "PortTaken");
        metrics.certificate(1_700_000_000, 1_800_000_000);
        let after = text(&metrics);
        let name = "grape_operator_reconcile_duration_seconds";
        let certificate = "grape_operator_webhook_certificate";
        for (text, line) in [
            (&before, "grape_operator_leader 0".to_owned()),
            (&before, "grape_operator_queue_depth 0".to_owned()),
            (&before, "grape_operator_grape_requests_total{path=\"/status\"} 0".to_owned()),
            (&before, format!("{name}_count{{result=\"ok\"}} 0")),
            (&before, format!("{name}_count{{result=\"error\"}} 0")),
            (
                &before,
                concat!("grape_operator_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1")
                    .to_owned(),
            ),
            (&after, "grape_operator_leader 1".to_owned()),
            (&after, "grape_operator_queue_depth 3".to_owned()),
            (
                &after,
                "grape_operator_injections_total{reason=\"PortTaken\",result=\"refused\"} 1"
                    .to_owned(),
            ),
            (&after, format!("{certificate}_start_timestamp_seconds 1700000000")),
            (&after, format!("{certificate}_expiry_timestamp_seconds 1800000000")),
            (&after, format!("{name}_bucket{{result=\"invalid\",le=\"0.05\"}} 0")),
            (&after, format!("{name}_bucket{{result=\"invalid\",le=\"0.1\"}} 1")),
        ] {
            assert!(text.lines().any(|shown| shown == line), "{line} is missing in\n{text}");
        }
        assert!(!before.contains(certificate), "there is none yet: {before}");
        assert!(before.contains("\nprocess_resident_memory_bytes "), "{before}");
        assert!(!after.contains("grape_cluster_"), "{after}");
        metrics.leader(false);
        assert!(text(&metrics).contains("\ngrape_operator_leader 0\n"));
    }
}
