//! What a path under `/gossip` names. Pure.

use std::net::SocketAddr;

use percent_encoding::percent_decode_str;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Resource {
    /// All groups.
    Groups,
    /// The members of a group.
    Peers { group: String },
    /// The events of a group.
    Events { group: String },
    /// The keys of this Grape, or of another member.
    State { group: String, peer: Option<SocketAddr> },
    /// A key of this Grape, or of another member.
    Key { group: String, peer: Option<SocketAddr>, key: String },
}

/// Why a path names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnknownPath {
    /// There is no such path.
    #[error(
        "here are /gossip, and of a GROUP: /gossip/GROUP/peers, /gossip/GROUP/events, \
         /gossip/GROUP/state[/KEY] and /gossip/GROUP/peers/IP:PORT/state[/KEY]"
    )]
    Path,
    /// A peer is not named by its address.
    #[error("{0:?} is not the address of a peer; expected IP:PORT, as in 10.0.0.7:20001")]
    Peer(String),
    /// A part of the path is not UTF-8.
    #[error("the path is not UTF-8 when it is decoded")]
    Encoding,
}

/// Reads a path that begins with `/gossip`.
pub(super) fn read(path: &str) -> Result<Resource, UnknownPath> {
    let parts = path.split('/').skip(2).map(|part| percent_decode_str(part).decode_utf8());
    let parts = parts.collect::<Result<Vec<_>, _>>().map_err(|_| UnknownPath::Encoding)?;
    let parts: Vec<&str> = parts.iter().map(AsRef::as_ref).collect();
    let address = |text: &str| text.parse().map_err(|_| UnknownPath::Peer(text.to_owned()));
    Ok(match *parts {
        [] | [""] => Resource::Groups,
        [group, "peers"] => Resource::Peers { group: group.to_owned() },
        [group, "events"] => Resource::Events { group: group.to_owned() },
        [group, "state"] => Resource::State { group: group.to_owned(), peer: None },
        [group, "state", key] => {
            Resource::Key { group: group.to_owned(), peer: None, key: key.to_owned() }
        }
        [group, "peers", peer, "state"] => {
            Resource::State { group: group.to_owned(), peer: Some(address(peer)?) }
        }
        [group, "peers", peer, "state", key] => {
            let (peer, key) = (Some(address(peer)?), key.to_owned());
            Resource::Key { group: group.to_owned(), peer, key }
        }
        _ => return Err(UnknownPath::Path),
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn key(group: &str, peer: Option<&str>, key: &str) -> Resource {
        let peer = peer.map(|peer| peer.parse().unwrap());
        Resource::Key { group: group.to_owned(), peer, key: key.to_owned() }
    }

    #[rstest]
    #[case("/gossip", Resource::Groups)]
    #[case("/gossip/", Resource::Groups)]
    #[case("/gossip/workers/peers", Resource::Peers { group: "workers".to_owned() })]
    #[case("/gossip/a%2Fb/events", Resource::Events { group: "a/b".to_owned() })]
    #[case("/gossip/w/state", Resource::State { group: "w".to_owned(), peer: None })]
    #[case("/gossip/w/state/load%20now", key("w", None, "load now"))]
    #[case("/gossip/w/peers/10.0.0.7:20001/state/x", key("w", Some("10.0.0.7:20001"), "x"))]
    #[case("/gossip/w/peers/[fd00::7]:20001/state/x", key("w", Some("[fd00::7]:20001"), "x"))]
    fn paths_name_resources(#[case] path: &str, #[case] expected: Resource) {
        assert_eq!(read(path), Ok(expected));
    }

    #[test]
    fn the_page_for_operators_is_of_the_clusters_group() {
        let group = crate::cluster_entry::GROUP.to_owned();
        assert_eq!(read(super::super::CLUSTER_PATH), Ok(Resource::Peers { group }));
    }

    #[rstest]
    #[case("/gossip/workers", UnknownPath::Path)]
    #[case("/gossip/workers/state/a/b", UnknownPath::Path)]
    #[case("/gossip/w/peers/market/state", UnknownPath::Peer("market".to_owned()))]
    #[case("/gossip/%ff/peers", UnknownPath::Encoding)]
    fn other_paths_are_refused_with_what_there_is(
        #[case] path: &str,
        #[case] expected: UnknownPath,
    ) {
        assert_eq!(read(path), Err(expected));
    }
}
