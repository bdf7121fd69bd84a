//! Services on nodes that never cease: each announces, and looks up what another one announces.
//! `tests/peers/constant.js` in a pod, with a Grape of its own as a sidecar.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, LogParams, PostParams};
use serde::Deserialize;
use serde_json::json;

use super::{GrapeCluster, service_pod};
use crate::wait;

/// Two services that look each other up, about 20 times a second; each time a name is either looked
/// up for the first time, or has been announced again a moment ago.
pub struct Load<'a> {
    cluster: &'a GrapeCluster<'a>,
    pods: Api<Pod>,
    // With the lines that were read of each.
    names: BTreeMap<String, usize>,
}

/// What they did, in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Tally {
    /// Lookups.
    pub lookups: u64,
    /// Announces.
    pub announces: u64,
    /// The slowest of both, in milliseconds.
    pub slowest: u64,
    /// Which failed, when, and how.
    pub failures: Vec<String>,
}

impl<'a> Load<'a> {
    /// Starts one in each of two zones, which may be the same; waits until both find the other. Of
    /// several in a namespace each has a name.
    ///
    /// # Errors
    /// When they do not within a minute.
    pub async fn start(
        cluster: &'a GrapeCluster<'a>,
        name: &str,
        zones: [&str; 2],
    ) -> Result<Self> {
        let pods = cluster.pods().clone();
        let both = [format!("{name}-a"), format!("{name}-b")];
        for (own, (other, zone)) in both.iter().zip(both.iter().rev().zip(zones)) {
            let argument = json!({"grape": "http://127.0.0.1:30001", "own": own, "other": other});
            let mut pod = service_pod::node_js(own, zone, "constant.js", &argument);
            pod["spec"]["initContainers"] = json!([service_pod::sidecar(&cluster.endpoint())]);
            pods.create(&PostParams::default(), &serde_json::from_value(pod)?).await?;
        }
        let names = both.into_iter().map(|own| (own, 0)).collect();
        let mut load = Self { cluster, pods, names };
        load.since().await?;
        Ok(load)
    }

    /// What came of all that was begun since the last time, but for the last moments. Waits for two
    /// further lines of each.
    ///
    /// # Errors
    /// When one of them says nothing for a minute.
    pub async fn since(&mut self) -> Result<Tally> {
        let mut sum = Tally::default();
        for (name, read) in &mut self.names {
            let mut wanted = None;
            let what = format!("{name} tells of its lookups");
            let lines = wait::until(&what, async || {
                let log = LogParams {
                    container: Some(service_pod::CONTAINER.to_owned()),
                    ..LogParams::default()
                };
                let log = self.pods.logs(name, &log).await?;
                let lines: Vec<_> = log.lines().map(str::to_owned).collect();
                let wanted = *wanted.get_or_insert(lines.len().max(*read) + 2);
                ensure!(lines.len() >= wanted, "{} lines of {wanted}", lines.len());
                anyhow::Ok(lines)
            });
            let lines = lines.await.with_context(|| self.cluster.shown())?;
            for line in &lines[*read..] {
                let told: Tally = serde_json::from_str(line).with_context(|| line.clone())?;
                sum.lookups += told.lookups;
                sum.announces += told.announces;
                sum.slowest = sum.slowest.max(told.slowest);
                sum.failures
                    .extend(told.failures.iter().map(|failure| format!("{name}: {failure}")));
            }
            *read = lines.len();
        }
        Ok(sum)
    }

    /// The same, when nothing failed.
    ///
    /// # Errors
    /// When something did, or hardly anything was done: which is no proof.
    pub async fn flawless(&mut self, what: &str, during: Duration) -> Result<Tally> {
        let tally = self.since().await?;
        let failed = tally.failures.len();
        ensure!(
            tally.failures.is_empty(),
            "{what}: {failed} failed, of {} lookups and {} announces:\n{}\n{}",
            tally.lookups,
            tally.announces,
            tally.failures[..failed.min(20)].join("\n"),
            self.cluster.shown()
        );
        let fewest = during.as_secs() * 10;
        ensure!(tally.lookups >= fewest, "{what}: only {} lookups in {during:?}", tally.lookups);
        crate::figure::tell(&format!(
            "{what}: {} lookups and {} announces, none failed, slowest {} ms",
            tally.lookups, tally.announces, tally.slowest
        ));
        Ok(tally)
    }
}
