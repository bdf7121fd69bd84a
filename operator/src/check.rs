//! `grape-operator check`: whether an installed operator works, as `helm test` asks.
//!
//! It stands outside the operator: all it knows is what the API server and the operator's Service
//! answer.

use std::fmt;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Args, builder::NonEmptyStringValueParser};
use http::Uri;
use http::uri::PathAndQuery;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::jiff::Timestamp;
use kube::{Api, Client, Resource};
use tokio::time::{sleep, timeout};

use grape_cluster::{GrapeCluster, duration};

/// Between two looks at the same thing.
const PAUSE: Duration = Duration::from_millis(500);

/// Most bytes that are read of an answer with an error.
const MAX_REASON: usize = 1024;

/// The pages of the documentation that say what to do when a check fails, from the repository's root.
const DEFINITION_PAGE: &str = "docs/upgrades.md";
const OPERATOR_PAGE: &str = "docs/runbooks/GrapeOperatorDown.md";

/// What to check, and for how long.
#[derive(Debug, Args)]
pub struct Options {
    /// The namespace of the Lease [default: the one of the kubeconfig].
    #[arg(long, value_name = "NS", env = "POD_NAMESPACE",
        value_parser = NonEmptyStringValueParser::new())]
    pub namespace: Option<String>,

    /// The name of the Lease.
    #[arg(long, value_name = "NAME", env = "LEASE_NAME", default_value = "grape-operator",
        value_parser = NonEmptyStringValueParser::new())]
    pub lease_name: String,

    /// The URL of the operator's Service, such as `http://grape-operator.ops.svc:9090`.
    #[arg(long, value_name = "URL", value_parser = url)]
    pub operator: Uri,

    /// How long to wait until every check passes.
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = duration::parse)]
    pub timeout: Duration,
}

/// Reads the operator's URL, which has no path: the page to ask for is known.
fn url(text: &str) -> Result<Uri, String> {
    let expected = "expected a URL such as http://grape-operator.ops.svc:9090";
    let url: Uri = text.parse().map_err(|error| format!("{error}; {expected}"))?;
    let plain = url.scheme_str() == Some("http") && url.port_u16().is_some();
    if plain && url.path() == "/" && url.query().is_none() { Ok(url) } else { Err(expected.into()) }
}

/// Runs all checks, writes a line for each, and returns whether all succeeded.
///
/// # Errors
///
/// There is neither a kubeconfig nor a pod's account, or `out` cannot be written to.
pub async fn run(options: &Options, out: &mut impl Write) -> Result<bool> {
    // Its own text has all that is beneath it.
    let client = Client::try_default().await;
    let client = client.map_err(|error| anyhow!("no access to an API server: {error}"))?;
    report(client, options, out).await
}

/// As [`run`], by this client.
///
/// # Errors
///
/// `out` cannot be written to.
pub async fn report(client: Client, options: &Options, out: &mut impl Write) -> Result<bool> {
    let patience = options.timeout;
    let namespace = options.namespace.as_deref().unwrap_or(client.default_namespace());
    let leases = Api::namespaced(client.clone(), namespace);
    let lease = format!("the Lease {} in {namespace}", options.lease_name);
    let mut earlier = None;
    let (served, led, ready) = tokio::join!(
        until(patience, async || served(&client).await),
        until(patience, async || led(&leases, &options.lease_name, &mut earlier).await),
        until(patience, async || ready(&options.operator).await),
    );
    let lines = [
        line("the API server serves GrapeClusters", served, DEFINITION_PAGE),
        line(&lease, led, OPERATOR_PAGE),
        line("the operator's Service", ready, OPERATOR_PAGE),
    ];
    for line in &lines {
        writeln!(out, "{line}")?;
    }
    Ok(lines.iter().all(|line| line.well))
}

struct Line {
    well: bool,
    text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  {}", if self.well { "ok    " } else { "FAILED" }, self.text)
    }
}

/// The result of a check; `page` says what to do if the check fails.
fn line(what: &str, found: Result<String>, page: &str) -> Line {
    let well = found.is_ok();
    let result = found.unwrap_or_else(|error| format!("{error:#}; see {page}"));
    Line { well, text: format!("{what}: {result}") }
}

/// Checks again and again until the check succeeds. After `patience`, the error is that of the last try.
async fn until(
    patience: Duration,
    mut look: impl AsyncFnMut() -> Result<String>,
) -> Result<String> {
    let mut seen = anyhow!("no answer within {patience:?}");
    let looking = async {
        loop {
            match look().await {
                Ok(found) => return found,
                Err(error) => seen = error,
            }
            sleep(PAUSE).await;
        }
    };
    match timeout(patience, looking).await {
        Ok(found) => Ok(found),
        Err(_) => Err(seen),
    }
}

/// Asks by discovery, which every account may do.
async fn served(client: &Client) -> Result<String> {
    let version = GrapeCluster::api_version(&());
    let plural = GrapeCluster::plural(&());
    let hint = "the CustomResourceDefinition is missing: the chart's value crds.install";
    let list = client.list_api_group_resources(&version).await.map_err(|error| match error {
        kube::Error::Api(status) if status.code == 404 => anyhow!("{version}: {hint}"),
        other => other.into(),
    })?;
    ensure!(list.resources.iter().any(|each| each.name == plural), "{plural}.{version}: {hint}");
    Ok(format!("{plural} of {version}"))
}

/// Checks that the Lease has a holder who renews it. `earlier` is its renewTime at the first check, so
/// that no two clocks are compared.
async fn led(leases: &Api<Lease>, name: &str, earlier: &mut Option<Timestamp>) -> Result<String> {
    let lease = leases.get_opt(name).await?.context("is not there: no operator has led yet")?;
    let spec = lease.spec.unwrap_or_default();
    let Some(holder) = spec.holder_identity.filter(|holder| !holder.is_empty()) else {
        bail!("it has no holder")
    };
    let renewed = spec.renew_time.context("has no renewTime")?.0;
    let first = *earlier.get_or_insert(renewed);
    ensure!(renewed != first, "{holder} holds it, and has not renewed it since {renewed}");
    Ok(format!("{holder} holds it, and renews it"))
}

async fn ready(operator: &Uri) -> Result<String> {
    let mut parts = operator.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::from_static("/readyz"));
    let url = Uri::from_parts(parts)?;
    let client = HttpClient::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let response = client.get(url.clone()).await.with_context(|| format!("GET {url}"))?;
    let status = response.status();
    if !status.is_success() {
        let body = Limited::new(response.into_body(), MAX_REASON).collect().await;
        let reason = body.map(|body| body.to_bytes()).unwrap_or_default();
        bail!("GET {url}: {status} {}", String::from_utf8_lossy(&reason).trim());
    }
    Ok(format!("GET {url}: {status}"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(DEFINITION_PAGE)]
    #[case(OPERATOR_PAGE)]
    fn a_failed_check_names_a_page_that_exists(#[case] page: &str) {
        let failed = line("the operator's Service", Err(anyhow!("no answer")), page);
        assert_eq!(
            failed.to_string(),
            format!("FAILED  the operator's Service: no answer; see {page}")
        );
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        assert!(root.join(page).is_file(), "{page}");
    }

    #[rstest]
    #[case("http://grape-operator.ops.svc:9090")]
    #[case("http://grape-operator:9090/")]
    #[case("http://[2001:db8::1]:9090")]
    fn a_url_is_where_the_operator_answers(#[case] text: &str) {
        assert!(url(text).is_ok());
    }

    #[rstest]
    #[case("")]
    #[case("grape-operator:9090")]
    #[case("grape-operator")]
    #[case("/readyz")]
    #[case("https://grape-operator:9090")]
    #[case("http://grape-operator:9090/readyz")]
    #[case("http://grape-operator:9090?a=b")]
    #[case("http://grape-operator:x")]
    #[case("http://grape-operator")]
    #[case("http://")]
    fn another_url_is_refused_with_one_that_is_right(#[case] text: &str) {
        assert!(url(text).unwrap_err().contains("http://grape-operator.ops.svc:9090"));
    }
}
