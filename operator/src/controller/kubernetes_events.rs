//! Events of other programs, read if nothing else says why.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client};
use tracing::warn;

/// Most events that are read of one object: several times as many as there may be of it before they
/// are forgotten, an hour later. Kubernetes lets one object have 25 at once, and one more every five
/// minutes.
const MAX_EVENTS: u32 = 100;
/// For how long an event counts as current: the next one may take five minutes.
const RECENT: SignedDuration = SignedDuration::from_secs(6 * 60);

/// The events of the object with this uid that also match `fields`; none where they cannot be read.
pub async fn of(client: &Client, namespace: &str, uid: &str, fields: &str) -> Vec<Event> {
    let api: Api<Event> = Api::namespaced(client.clone(), namespace);
    let fields = format!("involvedObject.uid={uid},{fields}");
    match api.list(&ListParams::default().fields(&fields).limit(MAX_EVENTS)).await {
        Ok(events) => events.items,
        Err(error) => {
            warn!(namespace, %error, "cannot read events");
            Vec::new()
        }
    }
}

/// The events that are current.
pub fn lately(events: &[Event], now: Timestamp) -> impl Iterator<Item = &Event> {
    events.iter().filter(move |event| now.duration_since(time(event)) < RECENT)
}

/// When an event was last published.
pub fn time(event: &Event) -> Timestamp {
    let series = event.series.as_ref().and_then(|series| series.last_observed_time.as_ref());
    let micro = series.or(event.event_time.as_ref()).map(|time| time.0);
    let whole = event.last_timestamp.as_ref().map(|time| time.0);
    micro.max(whole).unwrap_or_default()
}
