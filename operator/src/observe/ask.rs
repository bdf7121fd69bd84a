//! The status of a Grape, from its admin pages. I/O.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use grape::cluster_entry::{ClusterEntry, KEY};
use grape::discovery::MAX_NAMES;
use grape::http::{CLUSTER_PATH, StatusPage};
use grape::services::{HeldBack, Refusal};

use super::call::{CallError, Caller, MAX_BODY, excerpt};
use super::complaint::Complaint;
use super::hint::GroupView;
use super::outside::Trouble;

/// Most characters of a version.
const MAX_VERSION: usize = 64;

/// Longest view of the other members of a group, in bytes: 1,000 of them take some 340 KB.
const MAX_VIEW: usize = 512 << 10;

/// Most addresses of Grapes of other networks that are read; it shows no more.
const MAX_OTHERS: usize = 8;

/// Most bytes of a bootstrap name, as `HOST:PORT`; a longer one is none, and is left out.
const MAX_NAME: usize = 260;

/// Most addresses of one bootstrap name that are read; it shows no more.
const MAX_ADDRESSES: usize = 4;

/// Most refusals of one Grape that are read, and as many of the services that it holds back; it shows
/// no more.
const MAX_COMPLAINTS: usize = 8;

/// What a Grape reported of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its version; 64 characters at most.
    pub version: String,
    /// Its id, 40 hex digits; another one after each start.
    pub id: String,
    /// Joined to other Grapes, or knowingly the first; never while it drains.
    pub ready: bool,
    /// Whether it drains.
    pub draining: bool,
    /// How many nodes its routing table holds, those that are silent just now included.
    pub nodes: usize,
}

/// An answer, and what of it the topology is made of.
#[derive(Debug, Clone)]
pub(super) struct GrapeReport {
    /// What its entry in the cluster's group is, while it would answer the same.
    pub(super) entry: ClusterEntry,
    pub(super) answer: Answer,
    /// Addresses of the nodes that answered it lately.
    pub(super) live: Vec<SocketAddr>,
    /// Addresses from which Grapes of other networks sent something lately; 8 at most.
    pub(super) other_networks: Vec<SocketAddr>,
    /// What services asked of it and were refused, and services that it holds back; 8 of each at most,
    /// each text short.
    pub(super) complaints: Vec<Complaint>,
    /// Its bootstrap names that lead to no Grape, as `HOST:PORT`, and why; 32 at most. Empty for
    /// earlier releases, which do not report them.
    pub(super) troubles: BTreeMap<String, Trouble>,
}

/// Asks the Grape whose admin pages are at `admin`.
///
/// # Errors
///
/// It cannot be reached, or what it answers is not a Grape's status.
pub(super) async fn ask(caller: &Caller, admin: SocketAddr) -> Result<GrapeReport, CallError> {
    let reply = caller.get(admin, "/status?brief", MAX_BODY).await?;
    let page = serde_json::from_slice(&reply.body).map_err(|error| foreign(&error.to_string()))?;
    report(page)
}

/// What the Grape whose admin pages are at `admin` says of the other members of the cluster's group.
///
/// # Errors
///
/// It cannot be reached, is in no such group, or answers something else.
pub(super) async fn view(caller: &Caller, admin: SocketAddr) -> Result<GroupView, CallError> {
    let reply = caller.get(admin, &format!("{CLUSTER_PATH}?key={KEY}"), MAX_VIEW).await?;
    GroupView::read(&reply.body).map_err(|error| {
        let why = excerpt(&error.to_string());
        CallError::Foreign(format!("its {CLUSTER_PATH} is not a Grape's: {why}"))
    })
}

/// What the page says, once it is known to be of a bounded size: it goes into objects and logs.
fn report(page: StatusPage) -> Result<GrapeReport, CallError> {
    let entry = ClusterEntry::of(&page);
    let StatusPage { version, node, held_back, refusals, unresolved, unanswered, .. } = page;
    if version.chars().count() > MAX_VERSION {
        return Err(foreign("its version is too long"));
    }
    if node.id.len() != 40 || !node.id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(foreign("its id is not 40 hex digits"));
    }
    let live = node.neighbours.iter().filter(|neighbour| !neighbour.suspect);
    let live = live.map(|neighbour| neighbour.address).collect();
    let answer = Answer {
        version,
        id: node.id,
        ready: node.ready,
        draining: node.draining,
        nodes: node.nodes,
    };
    let refusal = |Refusal { verb, name, reason, hint, count }| {
        let [verb, name, reason, hint] = [verb, name, reason, hint].map(|text| excerpt(&text));
        Complaint::Refused(Refusal { verb, name, reason, hint, count })
    };
    let held = |HeldBack { name, port, reason }| {
        let [name, reason] = [name, reason].map(|text| excerpt(&text));
        Complaint::HeldBack(HeldBack { name, port, reason })
    };
    let refusals = refusals.into_iter().take(MAX_COMPLAINTS).map(refusal);
    let held_back = held_back.into_iter().take(MAX_COMPLAINTS).map(held);
    let complaints = refusals.chain(held_back).collect();
    let unresolved = unresolved.into_iter().take(MAX_NAMES);
    let unresolved = unresolved.map(|it| (it.name, Trouble::Unresolved(excerpt(&it.reason))));
    let unanswered = unanswered.into_iter().take(MAX_NAMES);
    let unanswered = unanswered.map(|mut it| {
        it.addresses.truncate(MAX_ADDRESSES);
        (it.name, Trouble::Unanswered(it.addresses))
    });
    let is_name = |(name, _): &(String, Trouble)| name.len() <= MAX_NAME;
    let troubles = unresolved.chain(unanswered).filter(is_name).collect();
    let other_networks = node.other_networks.into_iter().take(MAX_OTHERS).collect();
    Ok(GrapeReport { entry, answer, live, other_networks, complaints, troubles })
}

fn foreign(why: &str) -> CallError {
    CallError::Foreign(format!("its /status is not a Grape's: {}", excerpt(why)))
}

#[cfg(test)]
mod tests {
    use grape::discovery::{Unanswered, Unresolved};
    use grape_engine::{MAX_LISTED, Neighbour, Status};

    use super::*;

    /// The longest page there is: every list full, every number and address as long as can be.
    fn longest() -> StatusPage {
        let address: SocketAddr =
            "[fd00:1111:2222:3333:4444:5555:6666:7777]:65535".parse().unwrap();
        let neighbour = Neighbour {
            id: "f".repeat(40),
            address,
            round_trip_us: Some(u64::MAX),
            suspect: false,
        };
        StatusPage {
            version: "1.2.3".to_owned(),
            uptime_seconds: u64::MAX,
            api_address: address,
            admin_address: Some(address),
            dht_address: address,
            held_back: vec![held_back(); MAX_COMPLAINTS],
            refusals: vec![refusal(); MAX_COMPLAINTS],
            unresolved: vec![unresolved(); MAX_NAMES],
            unanswered: vec![unanswered(address); MAX_NAMES],
            node: Status {
                id: "a".repeat(40),
                ready: true,
                draining: false,
                advertised: Some(address.ip()),
                network: Some("n".repeat(253)),
                other_networks: vec![address; MAX_OTHERS],
                nodes: usize::MAX,
                neighbours: vec![neighbour; MAX_LISTED],
                names_held: usize::MAX,
                items_held: usize::MAX,
                lookups_kept: usize::MAX,
                announced: Vec::new(),
                peers: Default::default(),
                errors: Vec::new(),
            },
        }
    }

    fn unresolved() -> Unresolved {
        Unresolved { name: "a".repeat(260), reason: "\u{fffd}".repeat(200) }
    }

    fn unanswered(address: SocketAddr) -> Unanswered {
        Unanswered { name: "b".repeat(260), addresses: vec![address; MAX_ADDRESSES] }
    }

    fn held_back() -> HeldBack {
        let text = "\u{fffd}".repeat(256);
        HeldBack { name: text[..192].to_owned(), port: 65535, reason: text }
    }

    fn refusal() -> Refusal {
        let text = "\u{fffd}".repeat(256);
        let [verb, name, reason, hint] =
            ["announce", &text[..192], &text, &text].map(str::to_owned);
        Refusal { verb, name, reason, hint, count: u64::MAX }
    }

    #[test]
    fn complaints_and_names_of_a_grape_are_cut() {
        let mut page = longest();
        page.unresolved = vec![Unresolved { name: "a".repeat(10_000), ..unresolved() }];
        page.unanswered = Vec::new();
        page.refusals = vec![Refusal { name: "a\n".repeat(1000), ..refusal() }; 100];
        let report = report(page).unwrap();
        assert_eq!(report.troubles, BTreeMap::new());
        assert_eq!(report.complaints.len(), 2 * MAX_COMPLAINTS);
        let [Complaint::Refused(first), .., Complaint::HeldBack(last)] = &report.complaints[..]
        else {
            panic!("{:?}", report.complaints);
        };
        for name in [&first.name, &last.name] {
            assert!(name.chars().count() < 200 && !name.contains(char::is_control), "{name:?}");
        }
    }

    #[test]
    fn a_grape_of_an_earlier_release_reports_no_refusals_and_no_names() {
        let mut page = serde_json::to_value(longest()).unwrap();
        for field in ["heldBack", "refusals", "unresolved", "unanswered"] {
            page.as_object_mut().unwrap().remove(field);
        }
        let report = report(serde_json::from_value(page).unwrap()).unwrap();
        assert_eq!((report.complaints, report.troubles), (Vec::new(), BTreeMap::new()));
    }

    #[test]
    fn the_longest_brief_page_fits_in_the_bound() {
        let page = serde_json::to_vec(&longest()).unwrap();
        assert!(page.len() > 150 * MAX_LISTED && page.len() < MAX_BODY, "{}", page.len());
    }

    #[test]
    fn nodes_that_are_silent_are_not_live() {
        let mut page = longest();
        page.node.neighbours.truncate(3);
        page.node.neighbours[1].suspect = true;
        let report = report(page).unwrap();
        assert_eq!((report.live.len(), report.answer.nodes), (2, usize::MAX));
    }

    #[test]
    fn a_page_with_odd_values_is_not_a_grapes() {
        for (version, id, why) in [
            ("1".repeat(65), "a".repeat(40), "its version is too long"),
            ("1".to_owned(), "a".repeat(39), "its id is not 40 hex digits"),
            ("1".to_owned(), "z".repeat(40), "its id is not 40 hex digits"),
        ] {
            let mut page = longest();
            (page.version, page.node.id) = (version, id);
            let error = report(page).unwrap_err();
            assert_eq!(error.to_string(), format!("its /status is not a Grape's: {why}"));
        }
    }
}
