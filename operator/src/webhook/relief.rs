//! The end of a replica that serves the webhook: it serves on until another replica does.
//!
//! When a Deployment is replaced by another one, as `webhook.hostNetwork` does, Kubernetes ends all
//! of its pods before the new ones are ready. As long as there is no ready pod, a Service leads to
//! the pods that are ending, if those still call themselves ready. So a replica that is asked to end
//! calls itself ready until the Service leads to one that is not.

use std::time::Duration;

use http::Request;
use kube::{Client, Config};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use super::server::SERVING;

/// How long a replica waits for another one. After that it takes 10 s for new connections, and as long
/// for their requests: together less than the 60 s after which Kubernetes kills a pod.
const LONGEST: Duration = Duration::from_secs(35);

/// How long the name of the Service may take to resolve. Outside of a cluster it does not.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(1);

/// How long an answer may take.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(250);

/// Completes once the Service, `NAME.NAMESPACE.svc`, leads to a replica that is not about to end, or
/// after 35 s. Completes at once where the Service has no address: there is nobody to ask.
pub async fn come(service: &str) {
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((service, 443))).await;
    if !matches!(found, Ok(Ok(_))) {
        return;
    }
    let mut error = String::from("no answer");
    let other = async {
        while let Err(seen) = ask(service).await {
            error = format!("{seen:#}");
            sleep(PAUSE).await;
        }
    };
    match timeout(LONGEST, other).await {
        Ok(()) => info!(service, "another replica serves the webhook"),
        Err(_) => warn!(service, error, after = ?LONGEST, "no other replica serves the webhook"),
    }
}

/// Asks the Service for a replica that is not about to end. Each question takes a connection of its
/// own, since a connection leads to one replica for as long as it lasts.
async fn ask(service: &str) -> anyhow::Result<()> {
    let mut config = Config::new(format!("https://{service}").parse()?);
    // The question has no secret, and a false answer only ends the wait. Without roots of its own the
    // client would want those of the system, which no image of ours has.
    config.accept_invalid_certs = true;
    config.root_cert = Some(Vec::new());
    config.connect_timeout = Some(ANSWER_TIMEOUT);
    config.default_retry = false;
    let client = Client::try_from(config)?;
    let request = Request::get(SERVING).body(Vec::new())?;
    timeout(ANSWER_TIMEOUT, client.request_text(request)).await??;
    Ok(())
}
