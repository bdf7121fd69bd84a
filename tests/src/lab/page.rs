//! A page of metrics, read.

/// A page in Prometheus' text format.
#[derive(Debug, Clone)]
pub struct Page(pub String);

impl Page {
    /// A metric, all its labels together; 0 where there is none.
    pub fn sum(&self, name: &str) -> f64 {
        let values = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            let value = rest.rsplit(' ').next()?;
            rest.starts_with([' ', '{']).then(|| value.parse::<f64>().ok())?
        });
        values.sum()
    }

    /// How much it grew since an earlier page.
    pub fn since(&self, before: &Self, name: &str) -> f64 {
        self.sum(name) - before.sum(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_the_sum_over_its_labels_and_no_other_that_begins_alike() {
        let page = Page("a_total{x=\"1\"} 2\na_total{x=\"2\"} 3\na_total_more 7\n".to_owned());
        assert_eq!((page.sum("a_total"), page.sum("a_total_more")), (5.0, 7.0));
        assert_eq!(page.sum("b"), 0.0);
    }
}
