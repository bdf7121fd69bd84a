//! Groups, members, keys and events as JSON. Pure.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use grape_engine::gossip::{GossipEvent, GossipItem, GossipPeer, MemberName};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::gossip::{Groups, News};

/// The version of a key that was set.
#[derive(Debug, Serialize)]
pub(super) struct Version {
    pub(super) version: u64,
}

/// All groups.
#[derive(Debug, Serialize)]
pub(super) struct GroupList {
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
struct Group {
    group: String,
    /// This Grape's generation in the group.
    generation: u64,
    live: usize,
    dead: usize,
}

/// A member of a group.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Peer<'a> {
    address: SocketAddr,
    /// The name of its pod, if it has said one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<&'a str>,
    generation: u64,
    heartbeat: u32,
    state: &'static str,
    phi: f64,
    /// For how long it has been in this state.
    since_seconds: u64,
    /// How long ago its last heartbeat came here.
    heartbeat_seconds: u64,
    keys: usize,
    /// The value of the key that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
}

/// Which members are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    All,
    Live,
    Dead,
}

impl Wanted {
    /// Those of a query's `state`; all without one.
    pub(super) fn read(text: Option<&[u8]>) -> Option<Self> {
        match text {
            None | Some(b"all") => Some(Self::All),
            Some(b"live") => Some(Self::Live),
            Some(b"dead") => Some(Self::Dead),
            Some(_) => None,
        }
    }

    fn has(self, live: bool) -> bool {
        match self {
            Self::All => true,
            Self::Live => live,
            Self::Dead => !live,
        }
    }
}

pub(super) fn groups(groups: &Groups) -> GroupList {
    let each = groups.names().into_iter().filter_map(|group| {
        let (peers, _) = groups.peers(&group)?;
        let generation = groups.generation(&group)?;
        let live = peers.iter().filter(|peer| peer.live).count();
        Some(Group { group, generation, live, dead: peers.len() - live })
    });
    GroupList { groups: each.collect() }
}

/// The members that are wanted, by their addresses, each with its value among `values`.
pub(super) fn peers<'a>(
    peers: &'a [GossipPeer],
    values: &HashMap<SocketAddr, Arc<[u8]>>,
    wanted: Wanted,
    now: Instant,
) -> Vec<Peer<'a>> {
    let seconds_since = |at| now.saturating_duration_since(at).as_secs();
    let peers = peers.iter().filter(|peer| wanted.has(peer.live));
    let mut peers: Vec<_> = peers
        .map(|peer| Peer {
            address: peer.addr,
            pod: peer.name.as_ref().map(MemberName::as_str),
            generation: peer.generation,
            heartbeat: peer.heartbeat,
            state: if peer.live { "live" } else { "dead" },
            phi: (peer.phi * 100.0).round() / 100.0,
            since_seconds: seconds_since(peer.since),
            heartbeat_seconds: seconds_since(peer.heartbeat_at),
            keys: peer.keys,
            value: values.get(&peer.addr).map(|bytes| value(bytes)),
        })
        .collect();
    peers.sort_unstable_by_key(|peer| peer.address);
    peers
}

/// The keys of a member with their values.
pub(super) fn state(items: &[GossipItem]) -> BTreeMap<&str, Box<RawValue>> {
    items.iter().map(|item| (&*item.key, value(&item.value))).collect()
}

/// A value on one line; a text if it is not JSON, which another program may have set.
pub(super) fn value(bytes: &[u8]) -> Box<RawValue> {
    let text = String::from_utf8_lossy(bytes);
    // In JSON a line break is between two tokens, and as good as a space there.
    let line = text.replace(['\n', '\r'], " ");
    RawValue::from_string(line.trim().to_owned())
        .or_else(|_| to_raw_value(&text))
        .unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What an event says.
#[derive(Serialize)]
struct Data<'a> {
    peer: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
    /// Null if the key was unset.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Box<RawValue>>,
}

/// Server-sent events; first `gap`, if earlier ones were dropped.
pub(super) fn events(news: &News) -> String {
    let mut text = String::new();
    if news.gap {
        text.push_str("event: gap\ndata: {}\n\n");
    }
    for logged in &news.events {
        let (name, data) = event(&logged.event);
        // Writing to a string cannot fail, and neither can these types.
        if let Ok(data) = serde_json::to_string(&data) {
            let _ = write!(text, "id: {}\nevent: {name}\ndata: {data}\n\n", logged.number);
        }
    }
    text
}

/// An event as a message of a WebSocket.
#[derive(Serialize)]
struct Text<'a> {
    id: u64,
    event: &'static str,
    data: Data<'a>,
}

/// The same as [`events`], each as a message of a WebSocket.
pub(super) fn messages(news: &News) -> Vec<String> {
    let gap = news.gap.then(|| r#"{"event":"gap","data":{}}"#.to_owned());
    let texts = news.events.iter().filter_map(|logged| {
        let (name, data) = event(&logged.event);
        // These types are always written.
        serde_json::to_string(&Text { id: logged.number, event: name, data }).ok()
    });
    gap.into_iter().chain(texts).collect()
}

fn event(event: &GossipEvent) -> (&'static str, Data<'_>) {
    let of = |peer: &SocketAddr| Data { peer: *peer, generation: None, key: None, value: None };
    match event {
        GossipEvent::NewPeer { peer, generation } => {
            ("new_peer", Data { generation: Some(*generation), ..of(peer) })
        }
        GossipEvent::PeerAlive { peer, generation } => {
            ("peer_alive", Data { generation: Some(*generation), ..of(peer) })
        }
        GossipEvent::PeerFailed { peer } => ("peer_failed", of(peer)),
        GossipEvent::Update { peer, key, value: new } => {
            let value = new.as_ref().map_or_else(|| RawValue::NULL.to_owned(), |new| value(new));
            ("update", Data { key: Some(key), value: Some(value), ..of(peer) })
        }
        GossipEvent::Expire { peer, key } => ("expire", Data { key: Some(key), ..of(peer) }),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;
    use crate::gossip::LoggedEvent;

    #[rstest]
    #[case(r#"{"a": 1}"#, r#"{"a": 1}"#)]
    #[case("{\n  \"a\": 1\n}\n", r#"{   "a": 1 }"#)]
    #[case("7", "7")]
    #[case("not JSON", r#""not JSON""#)]
    #[case("", r#""""#)]
    fn a_value_is_json_on_one_line(#[case] bytes: &str, #[case] expected: &str) {
        assert_eq!(value(bytes.as_bytes()).get(), expected);
    }

    #[test]
    fn events_have_a_number_a_name_and_one_line_of_json() {
        let peer = ([10, 0, 0, 7], 20001).into();
        let new: Arc<[u8]> = b"[1,\n2]".as_slice().into();
        let all = [
            GossipEvent::NewPeer { peer, generation: 3 },
            GossipEvent::Update { peer, key: "load".into(), value: Some(new) },
            GossipEvent::Update { peer, key: "load".into(), value: None },
            GossipEvent::Expire { peer, key: "load".into() },
            GossipEvent::PeerFailed { peer },
            GossipEvent::PeerAlive { peer, generation: 4 },
        ];
        let events = (1..).zip(all).map(|(number, event)| LoggedEvent { number, event });
        let news = News { gap: true, events: events.collect() };
        let text = super::events(&news);
        let expected = r#"event: gap
data: {}

id: 1
event: new_peer
data: {"peer":"10.0.0.7:20001","generation":3}

id: 2
event: update
data: {"peer":"10.0.0.7:20001","key":"load","value":[1, 2]}

id: 3
event: update
data: {"peer":"10.0.0.7:20001","key":"load","value":null}

id: 4
event: expire
data: {"peer":"10.0.0.7:20001","key":"load"}

id: 5
event: peer_failed
data: {"peer":"10.0.0.7:20001"}

id: 6
event: peer_alive
data: {"peer":"10.0.0.7:20001","generation":4}

"#;
        assert_eq!(text, expected);

        let messages = messages(&news);
        assert_eq!(messages.len(), 7);
        assert_eq!(messages[0], r#"{"event":"gap","data":{}}"#);
        let update = r#"{"id":2,"event":"update","data":{"peer":"10.0.0.7:20001","key":"load","value":[1, 2]}}"#;
        assert_eq!(messages[2], update);
    }

    #[test]
    fn members_are_filtered_by_their_state() {
        assert_eq!(Wanted::read(None), Some(Wanted::All));
        assert_eq!(Wanted::read(Some(b"dead")), Some(Wanted::Dead));
        assert_eq!(Wanted::read(Some(b"gone")), None);
        assert!(Wanted::Dead.has(false) && !Wanted::Dead.has(true) && Wanted::All.has(false));
    }
}
