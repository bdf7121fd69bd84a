//! Prometheus' histograms, as a page of metrics shows them.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

/// How often something was at most so much, all labels together.
#[derive(Debug, Clone, PartialEq)]
pub struct Histogram {
    /// By their upper bounds, in this order; the last is infinite. Each counts those before, too.
    buckets: Vec<(f64, f64)>,
}

impl Histogram {
    /// The one of this name, on a page in Prometheus' text format.
    ///
    /// # Errors
    /// When there is none, or it cannot be read.
    pub fn read(page: &str, name: &str) -> Result<Self> {
        let prefix = format!("{name}_bucket{{");
        // By the bound as it is written, which is the same in all series.
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for series in page.lines().filter_map(|line| line.strip_prefix(&prefix)) {
            let bound = series.split_once("le=\"").and_then(|(_, rest)| rest.split_once('"'));
            let count = series.rsplit_once(' ');
            let ((bound, _), (_, count)) = bound.zip(count).with_context(|| series.to_owned())?;
            *sums.entry(bound).or_default() += count.parse::<f64>()?;
        }
        ensure!(!sums.is_empty(), "there is no histogram {name}");
        let bucket = |(bound, count): (&str, f64)| Ok((bound.parse()?, count));
        let mut buckets = sums.into_iter().map(bucket).collect::<Result<Vec<(f64, f64)>>>()?;
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        Ok(Self { buckets })
    }

    /// What came after `before`, which has the same buckets.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let pairs = self.buckets.iter().zip(&before.buckets);
        Self { buckets: pairs.map(|((bound, now), (_, then))| (*bound, now - then)).collect() }
    }

    /// How many there are.
    pub fn count(&self) -> f64 {
        self.buckets.last().map_or(0.0, |(_, count)| *count)
    }

    /// A quantile, as Prometheus' `histogram_quantile` computes it: values are spread evenly within
    /// a bucket, and above the largest bound that bound counts. `None` for an empty histogram.
    pub fn quantile(&self, part: f64) -> Option<f64> {
        let rank = part * self.count();
        if self.count() == 0.0 {
            return None;
        }
        let (mut lower, mut below) = (0.0, 0.0);
        for &(upper, count) in &self.buckets {
            if count >= rank && count > below {
                let within = (rank - below) / (count - below);
                return Some(if upper.is_finite() {
                    lower + (upper - lower) * within
                } else {
                    lower
                });
            }
            (lower, below) = (upper, count);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = "# TYPE took histogram\n\
        took_bucket{result=\"ok\",le=\"0.5\"} 6\n\
        took_bucket{result=\"ok\",le=\"10\"} 9\n\
        took_bucket{result=\"ok\",le=\"+Inf\"} 9\n\
        took_sum{result=\"ok\"} 1\n\
        took_bucket{result=\"bad\",le=\"0.5\"} 0\n\
        took_bucket{result=\"bad\",le=\"10\"} 0\n\
        took_bucket{result=\"bad\",le=\"+Inf\"} 1\n\
        tookn_bucket{le=\"0.5\"} 1000\n";

    #[test]
    fn all_labels_are_counted_together() {
        let all = Histogram::read(PAGE, "took").unwrap();
        assert_eq!(all.buckets, [(0.5, 6.0), (10.0, 9.0), (f64::INFINITY, 10.0)]);
        assert_eq!(all.count(), 10.0);
        let error = Histogram::read(PAGE, "gave").unwrap_err();
        assert_eq!(error.to_string(), "there is no histogram gave");
    }

    #[test]
    fn a_quantile_lies_evenly_in_its_bucket() {
        let all = Histogram::read(PAGE, "took").unwrap();
        assert_eq!(all.quantile(0.3), Some(0.25));
        assert_eq!(all.quantile(0.6), Some(0.5));
        assert_eq!(all.quantile(0.9), Some(10.0));
        assert_eq!(all.quantile(0.99), Some(10.0), "above the largest bound");
    }

    #[test]
    fn earlier_values_do_not_count() {
        let all = Histogram::read(PAGE, "took").unwrap();
        let none = all.since(&all);
        assert_eq!((none.count(), none.quantile(0.5)), (0.0, None));
    }
}
