//! Why a node does not start a Grape that it has accepted. If it cannot create the pod's sandbox,
//! or mount its volumes, the pod's status says no more than `ContainerCreating`: the cause is only
//! in events of the pod.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::Client;

use super::failing::Failing;
use super::kubernetes_events;

/// Most pods of one cluster that are looked up; no more are reported.
pub const MAX_PODS: usize = 4;

/// Finds out why the pod with this uid does not start.
pub async fn probe(client: &Client, namespace: &str, uid: &str) -> Option<Failing> {
    let events = kubernetes_events::of(client, namespace, uid, "type=Warning").await;
    choose(&events, Timestamp::now())
}

/// The node's last message.
fn choose(events: &[Event], now: Timestamp) -> Option<Failing> {
    let by_node = |event: &&Event| event.reason.as_deref() != Some("FailedScheduling");
    let current = kubernetes_events::lately(events, now).filter(by_node);
    let last = current.max_by_key(|event| kubernetes_events::time(event))?;
    Some(Failing::of_node(last.reason.as_deref()?, last.message.as_deref()?))
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
    use rstest::rstest;
    use serde_json::json;

    use super::*;

    const NO_NETWORK: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed \
                              to set up the network: no address is left";
    const NO_MEMORY: &str = "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to \
                             create containerd task: container init was OOM-killed (memory limit too \
                             low?)";

    fn chosen(events: &[(&str, &str, i64)]) -> Option<String> {
        let event = |(reason, message, minutes): &(&str, &str, i64)| {
            let at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(*minutes);
            serde_json::from_value(json!({
                "metadata": {},
                "involvedObject": {},
                "reason": reason,
                "message": message,
                "lastTimestamp": at.to_string(),
            }))
            .unwrap()
        };
        let events: Vec<Event> = events.iter().map(event).collect();
        let now = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(60);
        choose(&events, now).map(|failing| failing.to_string())
    }

    #[rstest]
    #[case::none(&[], None)]
    #[case::long_ago(&[("FailedMount", "no such Secret", 50)], None)]
    #[case::of_the_scheduler(&[("FailedScheduling", "0/2 nodes", 59)], None)]
    #[case::the_last(
        &[("FailedMount", "no such Secret", 59), ("FailedMount", "no such ConfigMap", 58)],
        Some("its node does not start it (FailedMount): no such Secret")
    )]
    #[case::network(
        &[("FailedCreatePodSandBox", NO_NETWORK, 59)],
        Some(
            "its node does not start it (FailedCreatePodSandBox): failed to set up the network: no \
             address is left"
        )
    )]
    #[case::memory(
        &[("FailedCreatePodSandBox", NO_MEMORY, 59)],
        Some("its memory does not suffice to start it: raise its limit")
    )]
    #[case::long_reason(
        &[(&*"R".repeat(100_000), "why", 59)],
        Some(&*format!("its node does not start it ({}…): why", "R".repeat(64)))
    )]
    fn the_node_says_why(#[case] events: &[(&str, &str, i64)], #[case] expected: Option<&str>) {
        assert_eq!(chosen(events).as_deref(), expected);
    }
}
