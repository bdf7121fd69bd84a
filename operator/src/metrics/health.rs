//! The metrics of clusters, from their figures.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::proto::MetricFamily;
use prometheus::{GaugeVec, Opts, Registry};

/// The figures of a cluster. `None` is unknown, and has no series.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Health {
    /// The wanted number of Grapes.
    pub desired: usize,
    /// Grapes that are ready.
    pub ready: usize,
    /// Grapes that run by the current spec.
    pub updated: usize,
    /// Grapes that run and do not answer.
    pub unreachable: usize,
    /// Its conditions by type; `None` is Unknown.
    pub conditions: Vec<(&'static str, Option<bool>)>,
    /// Groups of Grapes that do not know each other.
    pub partitions: Option<usize>,
    /// Fewest other nodes that one of its Grapes knows.
    pub known_nodes_min: Option<usize>,
    /// Share of the last lookups of a canary that found it, 0 to 1.
    pub lookup_success_ratio: Option<f64>,
    /// Median of the last lookups' durations.
    pub lookup_p50: Option<Duration>,
    /// The duration within which 95 % of the last lookups found their canary.
    pub lookup_p95: Option<Duration>,
    /// Pods of services that should have a Grape.
    pub sidecars: usize,
    /// Pods among them whose Grape runs.
    pub sidecars_ready: usize,
    /// Pods among them whose Grape has another image than the cluster's.
    pub sidecars_outdated: usize,
    /// Pods among them without a Grape.
    pub pods_without_grape: usize,
    /// Pods among them whose Grape is connected with none of the cluster's own.
    pub sidecars_disconnected: usize,
}

/// A cluster's namespace and name.
pub(super) type Key = (String, String);

/// A further label's value and the figure, for each series of one cluster.
type Series = Vec<(Option<&'static str>, f64)>;

/// A metric's name and help, its further label, and how it is read.
type Metric = (&'static str, &'static str, Option<&'static str>, fn(&Health) -> Series);

const METRICS: [Metric; 14] = [
    ("grapes_desired", "Grapes that the spec asks for.", None, |h| count(Some(h.desired))),
    ("grapes_ready", "Grapes that are ready.", None, |h| count(Some(h.ready))),
    ("grapes_updated", "Grapes that run as the spec says.", None, |h| count(Some(h.updated))),
    ("grapes_unreachable", "Grapes that run but do not answer the operator.", None, |h| {
        count(Some(h.unreachable))
    }),
    ("condition", "Conditions: 1 is True, 0 False, -1 Unknown.", Some("type"), |h| {
        h.conditions.iter().map(|(kind, holds)| (Some(*kind), truth(*holds))).collect()
    }),
    (
        "partitions",
        "Groups of Grapes that do not know each other; 1 if all are connected.",
        None,
        |h| count(h.partitions),
    ),
    (
        "known_nodes_min",
        "Smallest number of other DHT nodes that a Grape of the cluster knows.",
        None,
        |h| count(h.known_nodes_min),
    ),
    ("lookup_success_ratio", "Share of the last test lookups that succeeded, 0 to 1.", None, |h| {
        one(h.lookup_success_ratio)
    }),
    ("lookup_duration_seconds", "Time that the last test lookups took.", Some("quantile"), |h| {
        let seconds = |time: Option<Duration>| time.map(|time| time.as_secs_f64());
        let quantiles = [("0.5", seconds(h.lookup_p50)), ("0.95", seconds(h.lookup_p95))];
        quantiles.into_iter().filter_map(|(quantile, time)| Some((Some(quantile), time?))).collect()
    }),
    ("sidecars", "Pods that ask for a sidecar.", None, |h| count(Some(h.sidecars))),
    ("sidecars_ready", "Pods whose sidecar is ready.", None, |h| count(Some(h.sidecars_ready))),
    ("sidecars_outdated", "Pods whose sidecar has another image than new pods get.", None, |h| {
        count(Some(h.sidecars_outdated))
    }),
    ("pods_without_grape", "Pods that ask for a sidecar and run without one.", None, |h| {
        count(Some(h.pods_without_grape))
    }),
    (
        "sidecars_disconnected",
        "Pods whose sidecar is not connected with the cluster's own Grapes.",
        None,
        |h| count(Some(h.sidecars_disconnected)),
    ),
];

/// All metrics of all clusters, in the order of their names and labels.
pub(super) fn families(
    clusters: &BTreeMap<Key, Health>,
) -> Result<Vec<MetricFamily>, prometheus::Error> {
    let registry = Registry::new();
    for (name, help, label, read) in METRICS {
        let labels: Vec<&str> = ["namespace", "name"].into_iter().chain(label).collect();
        let gauges = GaugeVec::new(Opts::new(format!("grape_cluster_{name}"), help), &labels)?;
        for ((namespace, cluster), health) in clusters {
            for (further, value) in read(health) {
                let own = [namespace.as_str(), cluster.as_str()];
                let values: Vec<&str> = own.into_iter().chain(further).collect();
                gauges.get_metric_with_label_values(&values)?.set(value);
            }
        }
        registry.register(Box::new(gauges))?;
    }
    // A metric without a sample is left out.
    Ok(registry.gather())
}

fn one(figure: Option<f64>) -> Series {
    figure.map(|figure| (None, figure)).into_iter().collect()
}

fn count(number: Option<usize>) -> Series {
    one(number.map(|number| number as f64))
}

fn truth(condition: Option<bool>) -> f64 {
    condition.map_or(-1.0, |holds| if holds { 1.0 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Metrics;

    /// Series of clusters, without those of the operator and the process.
    fn series(metrics: &Metrics) -> Vec<String> {
        let text = String::from_utf8(metrics.exposition().unwrap()).unwrap();
        let series = text.lines().filter(|line| line.starts_with("grape_cluster_"));
        series.map(str::to_owned).collect()
    }

    #[test]
    fn the_page_of_metrics_has_all_of_a_cluster() {
        let page = include_str!("../../../docs/metrics.md");
        let names: Vec<_> =
            METRICS.iter().map(|(name, ..)| format!("grape_cluster_{name}")).collect();
        let part = page.split("\n## Of a GrapeCluster\n").nth(1).unwrap();
        let part = part.split("\n## ").next().unwrap();
        let documented: Vec<_> =
            part.split('`').filter(|word| word.starts_with("grape_")).collect();
        assert_eq!(documented, names);
    }

    #[test]
    fn a_cluster_is_shown_with_all_that_is_known() {
        let metrics = Metrics::new().unwrap();
        let health = Health {
            desired: 5,
            ready: 4,
            updated: 3,
            unreachable: 1,
            conditions: vec![
                ("Ready", Some(false)),
                ("Bootstrapped", Some(true)),
                ("Partitioned", None),
            ],
            partitions: Some(2),
            known_nodes_min: Some(0),
            lookup_success_ratio: Some(0.75),
            lookup_p50: Some(Duration::from_micros(1500)),
            lookup_p95: Some(Duration::from_secs(2)),
            sidecars: 12,
            sidecars_ready: 10,
            sidecars_outdated: 9,
            pods_without_grape: 2,
            sidecars_disconnected: 1,
        };
        metrics.cluster("prod", "market", &health);
        let of = |name: &str, further: &str, value: &str| {
            format!("grape_cluster_{name}{{name=\"market\",namespace=\"prod\"{further}}} {value}")
        };
        assert_eq!(
            series(&metrics),
            [
                of("condition", ",type=\"Bootstrapped\"", "1"),
                of("condition", ",type=\"Partitioned\"", "-1"),
                of("condition", ",type=\"Ready\"", "0"),
                of("grapes_desired", "", "5"),
                of("grapes_ready", "", "4"),
                of("grapes_unreachable", "", "1"),
                of("grapes_updated", "", "3"),
                of("known_nodes_min", "", "0"),
                of("lookup_duration_seconds", ",quantile=\"0.5\"", "0.0015"),
                of("lookup_duration_seconds", ",quantile=\"0.95\"", "2"),
                of("lookup_success_ratio", "", "0.75"),
                of("partitions", "", "2"),
                of("pods_without_grape", "", "2"),
                of("sidecars", "", "12"),
                of("sidecars_disconnected", "", "1"),
                of("sidecars_outdated", "", "9"),
                of("sidecars_ready", "", "10"),
            ]
        );
    }

    #[test]
    fn unknown_values_have_no_series() {
        let metrics = Metrics::new().unwrap();
        let known = Health {
            conditions: vec![("Ready", Some(true))],
            partitions: Some(1),
            lookup_p50: Some(Duration::ZERO),
            ..Health::default()
        };
        metrics.cluster("prod", "market", &known);
        assert_eq!(series(&metrics).len(), 12);
        metrics.cluster("prod", "market", &Health::default());
        assert_eq!(series(&metrics).len(), 9);
        let always =
            |line: &String| ["_grapes_", "_sidecars", "_pods_"].iter().any(|it| line.contains(it));
        assert!(series(&metrics).iter().all(always));
    }

    #[test]
    fn a_cluster_that_is_gone_leaves_nothing() {
        let metrics = Metrics::new().unwrap();
        metrics.cluster("prod", "market", &Health::default());
        metrics.cluster("test", "market", &Health::default());
        metrics.forget("prod", "market");
        assert_eq!(series(&metrics).len(), 9);
        assert!(series(&metrics).iter().all(|line| line.contains("namespace=\"test\"")));
        metrics.forget("test", "market");
        metrics.forget("test", "never was");
        let text = String::from_utf8(metrics.exposition().unwrap()).unwrap();
        assert!(!text.contains("grape_cluster_"), "{text}");
    }
}
