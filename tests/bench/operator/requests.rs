//! What an API server was asked for, as it counts itself.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use kube::Client;

/// The kinds that an operator reads and writes, as resources. The Lease is not among them: it is
/// renewed all the time.
const RESOURCES: [&str; 9] = [
    "events",
    "grapeclusters",
    "networkpolicies",
    "poddisruptionbudgets",
    "pods",
    "serviceaccounts",
    "servicemonitors",
    "services",
    "statefulsets",
];

/// Verbs that change nothing.
const READS: [&str; 4] = ["GET", "LIST", "WATCH", "CONNECT"];

/// Requests of those kinds that were answered, by verb and resource.
#[derive(Debug, Clone, Default)]
pub struct Requests(BTreeMap<(String, String), f64>);

impl Requests {
    /// All since the server started.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn until_now(client: &Client) -> Result<Self> {
        let request = http::Request::get("/metrics").body(Vec::new())?;
        let page = client.request_text(request).await?;
        let mut counts = Self::default();
        for line in page.lines() {
            let Some(series) = line.strip_prefix("apiserver_request_total{") else { continue };
            let (labels, value) = series.rsplit_once("} ").with_context(|| line.to_owned())?;
            let label = |name: &str| {
                let (_, rest) = labels.split_once(&format!("{name}=\""))?;
                Some(rest.split_once('"')?.0.to_owned())
            };
            let named = label("verb").zip(label("resource"));
            let (verb, resource) = named.with_context(|| line.to_owned())?;
            if RESOURCES.contains(&&*resource) {
                *counts.0.entry((verb, resource)).or_default() += value.parse::<f64>()?;
            }
        }
        Ok(counts)
    }

    /// Those that are not among `before`.
    pub fn since(&self, before: &Self) -> Self {
        let more = self.0.iter().map(|(key, count)| {
            (key.clone(), count - before.0.get(key).copied().unwrap_or_default())
        });
        Self(more.filter(|(_, count)| *count > 0.0).collect())
    }

    /// How many of them were to change something.
    pub fn writes(&self) -> f64 {
        let writes = self.0.iter().filter(|((verb, _), _)| !READS.contains(&&**verb));
        // A sum of no figure at all would be -0.
        writes.fold(0.0, |sum, (_, count)| sum + count)
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.0.iter().map(|((verb, of), count)| format!("{count} {verb} {of}"));
        let all: Vec<_> = each.collect();
        to.write_str(if all.is_empty() { "no request" } else { "" })?;
        to.write_str(&all.join(", "))
    }
}
