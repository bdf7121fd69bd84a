//! Pods that ask for a Grape: how many a second the webhook of one replica answers when it is asked
//! again as soon as it has answered, and how long it takes at a constant rate.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use grape_tests::figure;
use grape_tests::kubernetes::ApiServer;
use grape_tests::our_operator::Operator;
use grape_tests::ports::Port;
use grape_tests::results::{Goal, Row};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PostParams};
use serde_json::json;
use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep};

use super::connection::Target;
use super::review::Review;
use super::{Size, cpu};

/// Connections that are asked at once: an API server keeps up to 25.
const CONNECTIONS: usize = 16;
/// The constant rate: a question each so often.
const EACH: Duration = Duration::from_millis(5);
/// How long the pause before that is: the scheduler delays a process that has just used a whole
/// core.
const REST: Duration = Duration::from_secs(1);
/// The Service of the webhook, to whose name its certificate is made.
const SERVICE: &str = "grape-operator-webhook";

/// Measures the webhook of the operator `binary`.
///
/// # Errors
/// When anything is not as it should be.
pub async fn measure(binary: &Path, size: &Size) -> Result<Vec<Row>> {
    let server = ApiServer::start_with_definition().await?;
    let namespaces: Api<Namespace> = Api::all(server.client());
    for name in ["ops", "shop"] {
        let object = serde_json::from_value(json!({"metadata": {"name": name}}))?;
        namespaces.create(&PostParams::default(), &object).await?;
    }
    let kind =
        ApiResource::from_gvk(&GroupVersionKind::gvk("grenache.dev", "v1alpha1", "GrapeCluster"));
    let clusters: Api<DynamicObject> = Api::namespaced_with(server.client(), "shop", &kind);
    let market = json!({
        "apiVersion": "grenache.dev/v1alpha1", "kind": "GrapeCluster",
        "metadata": {"name": "market"}, "spec": {},
    });
    clusters.create(&PostParams::default(), &serde_json::from_value(market)?).await?;

    let port = Port::take()?;
    let bind = format!("--webhook-bind=127.0.0.1:{}", port.number());
    let flags = ["--namespace=ops", "--grape-image=grape:1", &bind];
    let operator = Operator::start_as(binary, server.kubeconfig(), "webhook", &flags).await?;
    operator.until_ready().await?;
    let secrets: Api<Secret> = Api::namespaced(server.client(), "ops");
    let secret = secrets.get(&format!("{SERVICE}-tls")).await?.data.unwrap_or_default();
    let authorities = secret.get("ca.crt").context("the Secret has ca.crt")?;
    let name = format!("{SERVICE}.ops.svc");
    let target = Target::new(port.number(), &name, &authorities.0)?;

    let mut review = Review::new()?;
    let (question, answer) = (review.question(0), target.ask(review.question(0)).await?);
    review.learn(&answer)?;
    figure::tell(&format!("a review of {} bytes, answered by {}", question.len(), answer.len()));
    let load = Arc::new(Load { target, review, numbers: AtomicU64::new(1) });

    let (mut rates, mut slowest) = (Vec::new(), Vec::new());
    for _ in 0..size.rounds {
        let (before, asked) = (cpu(&operator).await?, load.asked());
        rates.push(load.rate(size.load).await?);
        let took = (cpu(&operator).await? - before) / (load.asked() - asked);
        figure::tell(&format!("{:.0}/s, {:.0} µs of CPU each", rates[rates.len() - 1], took * 1e6));
        sleep(REST).await;
        let [p50, p99] = load.latencies(size.load).await?;
        figure::tell(&format!(
            "at {:.0}/s: p50 {p50:.2} ms, p99 {p99:.2} ms",
            1.0 / EACH.as_secs_f64()
        ));
        slowest.push(p99);
    }
    let asked = load.asked();
    let counted = "grape_operator_injections_total{reason=\"Injected\",result=\"injected\"}";
    let counted = operator.metric(counted).await?;
    ensure!(counted == Some(asked), "{counted:?} of {asked} were injected");

    let row = |case: &str, ours, unit: &str, goal| Row {
        case: case.to_owned(),
        npm: None,
        ours,
        unit: unit.to_owned(),
        goal,
    };
    Ok(vec![
        row("webhook: admissions", median(rates), "/s", Goal::AtLeast(2000.0)),
        row("webhook, 200 admissions/s: p99", median(slowest), "ms", Goal::AtMost(5.0)),
    ])
}

/// Who asks.
struct Load {
    target: Target,
    review: Review,
    numbers: AtomicU64,
}

impl Load {
    /// How many reviews were asked for.
    fn asked(&self) -> f64 {
        self.numbers.load(Ordering::Relaxed) as f64
    }

    /// Reviews a second, with one on its way at each connection.
    async fn rate(self: &Arc<Self>, time: Duration) -> Result<f64> {
        let begun = Instant::now();
        let mut clients = JoinSet::new();
        for _ in 0..CONNECTIONS {
            let load = Arc::clone(self);
            clients.spawn(async move {
                let mut connection = load.target.connect().await?;
                let mut done = 0u32;
                while begun.elapsed() < time {
                    let number = load.numbers.fetch_add(1, Ordering::Relaxed);
                    let answer = connection.ask(load.review.question(number)).await?;
                    load.review.check(number, &answer)?;
                    done += 1;
                }
                anyhow::Ok(done)
            });
        }
        let mut done = 0;
        while let Some(client) = clients.join_next().await {
            done += client??;
        }
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    }

    /// Times to the answer in milliseconds, from when the question was to be sent: p50 and p99.
    async fn latencies(self: &Arc<Self>, time: Duration) -> Result<[f64; 2]> {
        let (load, runtime) = (Arc::clone(self), Handle::current());
        // By the system's clock: a runtime's is late by up to a millisecond, which would be taken for
        // the webhook's.
        let clients = spawn_blocking(move || {
            let begun = Instant::now();
            let mut clients = JoinSet::new();
            let mut due = begun;
            while due - begun < time {
                std::thread::sleep(due.saturating_duration_since(Instant::now()));
                let load = Arc::clone(&load);
                let answered = async move {
                    let number = load.numbers.fetch_add(1, Ordering::Relaxed);
                    let answer = load.target.ask(load.review.question(number)).await?;
                    let took = due.elapsed();
                    load.review.check(number, &answer)?;
                    anyhow::Ok(took.as_secs_f64() * 1e3)
                };
                clients.spawn_on(answered, &runtime);
                due += EACH;
            }
            clients
        });
        let mut clients = clients.await?;
        let mut times = Vec::new();
        while let Some(client) = clients.join_next().await {
            times.push(client??);
        }
        times.sort_by(f64::total_cmp);
        Ok([50, 99].map(|part| times[times.len() * part / 100]))
    }
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}
