//! The annotations by which a pod configures its Grape.

use std::collections::BTreeMap;
use std::fmt;

use grape::log;
use grape_cluster::image;
use grape_cluster::nearest::nearest;
use grape_cluster::quantity::{self, QuantityText};
use grape_cluster::{DurationText, limits, pattern};
use grape_engine::gossip::{MAX_GROUP_NAME, MAX_GROUPS, check_group_name};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Objection, Reason, selection};
use crate::desired::labels;

/// The prefix of the operator's annotations.
const PREFIX: &str = "grenache.dev/";
/// What the Grape announces, as `NAME:PORT`, separated by commas.
pub const ANNOUNCE: &str = "grenache.dev/announce";
/// The CPU request of the Grape.
pub const CPU_REQUEST: &str = "grenache.dev/cpu-request";
/// The memory request of the Grape.
pub const MEMORY_REQUEST: &str = "grenache.dev/memory-request";
/// The CPU limit of the Grape.
pub const CPU_LIMIT: &str = "grenache.dev/cpu-limit";
/// The memory limit of the Grape.
pub const MEMORY_LIMIT: &str = "grenache.dev/memory-limit";
/// The image of the Grape.
pub const IMAGE: &str = "grenache.dev/image";
/// The TCP port of the Grape's admin pages.
pub const ADMIN_PORT: &str = "grenache.dev/admin-port";
/// The UDP port of the Grape's DHT node.
pub const DHT_PORT: &str = "grenache.dev/dht-port";
/// The groups that the Grape joins, separated by commas.
pub const GOSSIP: &str = "grenache.dev/gossip";
/// The Grape's log filter.
pub const LOG: &str = "grenache.dev/log";
/// How long containers wait before they are stopped.
pub const DRAIN: &str = "grenache.dev/drain";
/// The operator that injected the Grape: set, not read.
pub const INJECTED_BY: &str = "grenache.dev/injected-by";
/// The image of the Grape as it was injected: set, not read. Others may change the container's, for
/// example to that of a registry mirror.
pub const INJECTED_IMAGE: &str = "grenache.dev/injected-image";

/// All annotations that are read. The chart's warnings have the same list.
pub const READ: [&str; 11] = [
    ANNOUNCE,
    GOSSIP,
    CPU_REQUEST,
    MEMORY_REQUEST,
    CPU_LIMIT,
    MEMORY_LIMIT,
    IMAGE,
    ADMIN_PORT,
    DHT_PORT,
    LOG,
    DRAIN,
];

/// Most services that one pod announces.
const SERVICES_LENGTH: usize = 64;
/// Most seconds that containers wait.
const DRAIN_SECONDS: u64 = 300;

/// The annotations of a pod, parsed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// The services that its Grape announces.
    pub announce: Vec<Service>,
    /// The groups that its Grape joins, 16 at most.
    pub gossip: Vec<String>,
    /// Quantities that override the cluster's.
    pub resources: Asking,
    /// An image that overrides the cluster's.
    pub image: Option<String>,
    /// A port of the admin pages that overrides the cluster's, 1024 to 65535.
    pub admin_port: Option<u16>,
    /// A port of the DHT node that overrides the cluster's, 1024 to 65535.
    pub dht_port: Option<u16>,
    /// The Grape's log filter.
    pub log: Option<String>,
    /// How long containers wait before they are stopped, in whole seconds, 0 to 300.
    pub drain: Option<i64>,
}

/// A service that a Grape announces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name, not empty and without commas.
    pub name: String,
    /// Its TCP port, 1 to 65535.
    pub port: u16,
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.name, self.port)
    }
}

/// Resources of the Grape, by name: `cpu`, `memory`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asking {
    /// The request.
    pub requests: BTreeMap<String, QuantityText>,
    /// The limit.
    pub limits: BTreeMap<String, QuantityText>,
}

/// The parsed annotations of a pod, with warnings.
pub(super) struct Read {
    pub(super) own: Annotations,
    /// Warnings about unknown annotations.
    pub(super) warnings: Vec<String>,
}

/// Reads a pod's annotations.
pub(super) fn read(pod: &ObjectMeta) -> Result<Read, Objection> {
    let none = BTreeMap::new();
    let all = pod.annotations.as_ref().unwrap_or(&none);
    let text = |key: &str| all.get(key).map(|text| text.trim());
    let quantities = |cpu: &'static str, memory: &'static str| {
        let mut read = BTreeMap::new();
        for (name, key) in [("cpu", cpu), ("memory", memory)] {
            if let Some(text) = text(key) {
                read.insert(name.to_owned(), quantity(key, text)?);
            }
        }
        Ok(read)
    };
    let own = Annotations {
        announce: text(ANNOUNCE).map(services).transpose()?.unwrap_or_default(),
        gossip: text(GOSSIP).map(groups).transpose()?.unwrap_or_default(),
        resources: Asking {
            requests: quantities(CPU_REQUEST, MEMORY_REQUEST)?,
            limits: quantities(CPU_LIMIT, MEMORY_LIMIT)?,
        },
        image: text(IMAGE).map(an_image).transpose()?,
        admin_port: text(ADMIN_PORT).map(|text| port(ADMIN_PORT, text)).transpose()?,
        dht_port: text(DHT_PORT).map(|text| port(DHT_PORT, text)).transpose()?,
        log: text(LOG).map(filter).transpose()?,
        drain: text(DRAIN).map(seconds).transpose()?,
    };
    Ok(Read { own, warnings: all.keys().filter_map(|key| misspelt(key)).collect() })
}

/// The error about a value that cannot be used.
pub(super) fn invalid(key: &str, problem: impl fmt::Display, expected: &str) -> Objection {
    let problem = format!("annotation {key}: {problem}");
    Objection::new(Reason::InvalidAnnotation, problem, format!("expected {expected}"))
}

fn services(text: &str) -> Result<Vec<Service>, Objection> {
    const EXPECTED: &str = "NAME:PORT with a port from 1 to 65535, separated by commas, as in \
         rpc_test:1337,rpc_other:1338";
    let mut services = Vec::new();
    for entry in text.split(',').map(str::trim) {
        let service = entry.rsplit_once(':').and_then(|(name, port)| {
            let port = port.parse::<u16>().ok().filter(|port| *port > 0)?;
            // Elsewhere a Grape takes any text as a name; a line break in an annotation is a
            // mistake.
            let plain = !name.is_empty() && !name.chars().any(char::is_control);
            plain.then(|| Service { name: name.to_owned(), port })
        });
        let Some(service) = service else {
            return Err(invalid(ANNOUNCE, format!("{entry:?} is no service"), EXPECTED));
        };
        if services.contains(&service) {
            return Err(invalid(ANNOUNCE, format!("{entry:?} is there twice"), "each once"));
        }
        services.push(service);
    }
    if services.len() > SERVICES_LENGTH {
        let problem = format!("has {} services", services.len());
        return Err(invalid(ANNOUNCE, problem, &format!("{SERVICES_LENGTH} at most")));
    }
    Ok(services)
}

fn groups(text: &str) -> Result<Vec<String>, Objection> {
    let groups: Vec<String> = text.split(',').map(|group| group.trim().to_owned()).collect();
    if let Some(group) = groups.iter().find(|group| check_group_name(group).is_err()) {
        let expected =
            format!("groups of 1 to {MAX_GROUP_NAME} bytes, separated by commas, as in workers");
        return Err(invalid(GOSSIP, format!("{group:?} is no group"), &expected));
    }
    if groups.len() > MAX_GROUPS {
        let problem = format!("has {} groups", groups.len());
        return Err(invalid(GOSSIP, problem, &format!("{MAX_GROUPS} at most")));
    }
    Ok(groups)
}

fn quantity(key: &str, text: &str) -> Result<QuantityText, Objection> {
    if !pattern::is_like(text, quantity::PATTERN) || text.len() > quantity::MAX_LENGTH {
        return Err(invalid(key, format!("{text:?} cannot be used"), quantity::EXPECTED));
    }
    Ok(text.into())
}

fn an_image(text: &str) -> Result<String, Objection> {
    if image::is_one(text) {
        return Ok(text.to_owned());
    }
    let problem = format!("{text:?} is no image");
    Err(invalid(IMAGE, problem, "REPOSITORY[:TAG][@DIGEST], as in grenache/grape:0.1.0"))
}

fn port(key: &str, text: &str) -> Result<u16, Objection> {
    let range = limits::SIDECAR_PORT;
    let port = text.parse::<u16>().ok().filter(|port| range.contains(&i32::from(*port)));
    port.ok_or_else(|| {
        let expected = format!("{}, as in 9092", limits::expected_number(&range));
        invalid(key, format!("{text:?} is no port for it"), &expected)
    })
}

/// As a Grape parses it.
fn filter(text: &str) -> Result<String, Objection> {
    if log::filter(text).is_ok() {
        return Ok(text.to_owned());
    }
    let problem = format!("{text:?} is no filter");
    let expected = "a level, or levels of modules, as in debug or info,grape::dht=debug";
    Err(invalid(LOG, problem, expected))
}

fn seconds(text: &str) -> Result<i64, Objection> {
    let bad = |problem: String| {
        let expected = format!("whole seconds from 0s to {DRAIN_SECONDS}s, as in 3s");
        invalid(DRAIN, problem, &expected)
    };
    let duration = DurationText::from(text).parse();
    let duration = duration.map_err(|why| bad(format!("{text:?} {why}")))?;
    let whole = duration.subsec_nanos() == 0 && duration.as_secs() <= DRAIN_SECONDS;
    match i64::try_from(duration.as_secs()) {
        Ok(seconds) if whole => Ok(seconds),
        _ => Err(bad(format!("{text:?} is out of bounds"))),
    }
}

/// The warning about an unknown annotation that looks like a known one.
fn misspelt(key: &str) -> Option<String> {
    if key == selection::INJECT || key == labels::CLUSTER {
        return Some(format!("annotation {key} has no effect: it is a label"));
    }
    let name = key.strip_prefix(PREFIX)?;
    let known = READ.iter().filter_map(|known| known.strip_prefix(PREFIX));
    let close = nearest(name, known)?;
    // A known name is not misspelt.
    (close != name && key != INJECTED_BY)
        .then(|| format!("annotation {key} has no effect; did you mean {PREFIX}{close}?"))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn read(annotations: &[(&str, &str)]) -> Result<Read, String> {
        let all = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let metadata = ObjectMeta { annotations: Some(all.collect()), ..ObjectMeta::default() };
        super::read(&metadata).map_err(|Objection { reason, problem, remedy }| {
            assert_eq!(reason, Reason::InvalidAnnotation);
            format!("{problem}; {remedy}")
        })
    }

    #[test]
    fn annotations_are_read() {
        let read = read(&[
            (ANNOUNCE, "rpc_test:1337, common:1337 ,urn:a:b:80"),
            (GOSSIP, "workers, leaders"),
            (CPU_REQUEST, "50m"),
            (MEMORY_LIMIT, " 128Mi "),
            (IMAGE, "images.example:5000/grape:0.2.0"),
            (LOG, "info,grape::dht=debug"),
            (DRAIN, "1m30s"),
            (ADMIN_PORT, " 9092"),
            (DHT_PORT, "20002"),
            ("grenache.dev/injected-by", "grape-operator 0.1.0"),
            ("example.com/announced", "a"),
        ]);
        let Read { own, warnings } = read.unwrap();
        let service = |name: &str, port| Service { name: name.to_owned(), port };
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.into())]);
        let expected = Annotations {
            announce: vec![
                service("rpc_test", 1337),
                service("common", 1337),
                service("urn:a:b", 80),
            ],
            gossip: vec!["workers".to_owned(), "leaders".to_owned()],
            resources: Asking { requests: one("cpu", "50m"), limits: one("memory", "128Mi") },
            image: Some("images.example:5000/grape:0.2.0".to_owned()),
            admin_port: Some(9092),
            dht_port: Some(20002),
            log: Some("info,grape::dht=debug".to_owned()),
            drain: Some(90),
        };
        assert_eq!(own, expected);
        assert_eq!(warnings, Vec::<String>::new());
    }

    const SERVICE: &str = "expected NAME:PORT with a port from 1 to 65535, separated by commas, as \
         in rpc_test:1337,rpc_other:1338";
    const GROUPS: &str = "expected groups of 1 to 128 bytes, separated by commas, as in workers";
    const QUANTITY: &str = "expected a quantity, as in 100m, 0.5, 64Mi or 1Gi";
    const OF_IMAGE: &str = "expected REPOSITORY[:TAG][@DIGEST], as in grenache/grape:0.1.0";
    const FILTER: &str =
        "expected a level, or levels of modules, as in debug or info,grape::dht=debug";
    const SECONDS: &str = "expected whole seconds from 0s to 300s, as in 3s";

    #[rstest]
    #[case(ANNOUNCE, "", "\"\" is no service", SERVICE)]
    #[case(ANNOUNCE, "rpc_test", "\"rpc_test\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a:1,", "\"\" is no service", SERVICE)]
    #[case(ANNOUNCE, ":1337", "\":1337\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a:0", "\"a:0\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a:65536", "\"a:65536\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a:-1", "\"a:-1\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a:http", "\"a:http\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a\nb:1", "\"a\\nb:1\" is no service", SERVICE)]
    #[case(ANNOUNCE, "a:1,b:1,a:1", "\"a:1\" is there twice", "expected each once")]
    #[case(GOSSIP, "", "\"\" is no group", GROUPS)]
    #[case(GOSSIP, "a,,b", "\"\" is no group", GROUPS)]
    #[case(GOSSIP, "0,1,2,3,4,5,6,7,8,9,a,b,c,d,e,f,g", "has 17 groups", "expected 16 at most")]
    #[case(CPU_REQUEST, "much", "\"much\" cannot be used", QUANTITY)]
    #[case(MEMORY_REQUEST, "-1Mi", "\"-1Mi\" cannot be used", QUANTITY)]
    #[case(CPU_LIMIT, "", "\"\" cannot be used", QUANTITY)]
    #[case(MEMORY_LIMIT, "64 Mi", "\"64 Mi\" cannot be used", QUANTITY)]
    #[case(IMAGE, "", "\"\" is no image", OF_IMAGE)]
    #[case(IMAGE, "a b", "\"a b\" is no image", OF_IMAGE)]
    #[case(IMAGE, "grape:", "\"grape:\" is no image", OF_IMAGE)]
    #[case(IMAGE, "grape@sha256:12", "\"grape@sha256:12\" is no image", OF_IMAGE)]
    #[case(LOG, "", "\"\" is no filter", FILTER)]
    #[case(LOG, "grape=loud", "\"grape=loud\" is no filter", FILTER)]
    #[case(DRAIN, "3", "\"3\" has no unit", SECONDS)]
    #[case(DRAIN, "-3s", "\"-3s\" is not a duration", SECONDS)]
    #[case(DRAIN, "1500ms", "\"1500ms\" is out of bounds", SECONDS)]
    #[case(DRAIN, "301s", "\"301s\" is out of bounds", SECONDS)]
    #[case(DRAIN, "9999999999999h", "\"9999999999999h\" is out of bounds", SECONDS)]
    fn errors_of_bad_annotations_say_what_would_be_right(
        #[case] key: &str,
        #[case] value: &str,
        #[case] problem: &str,
        #[case] expected: &str,
    ) {
        let message = read(&[(key, value)]).err().unwrap();
        assert_eq!(message, format!("annotation {key}: {problem}; {expected}"));
    }

    #[test]
    fn a_pod_announces_so_many_services() {
        let services = |count: u16| {
            let all: Vec<_> = (1..=count).map(|port| format!("rpc:{port}")).collect();
            read(&[(ANNOUNCE, &all.join(","))]).map(|read| read.own.announce.len())
        };
        assert_eq!(services(64).unwrap(), 64);
        let message = services(65).unwrap_err();
        assert_eq!(
            message,
            "annotation grenache.dev/announce: has 65 services; expected 64 at most"
        );
    }

    #[rstest]
    #[case("grenache.dev/anounce", Some("; did you mean grenache.dev/announce?"))]
    #[case("grenache.dev/Announce", Some("; did you mean grenache.dev/announce?"))]
    #[case("grenache.dev/cpu-requests", Some("; did you mean grenache.dev/cpu-request?"))]
    #[case("grenache.dev/memory-limits", Some("; did you mean grenache.dev/memory-limit?"))]
    #[case("grenache.dev/inject", Some(": it is a label"))]
    #[case("grenache.dev/cluster", Some(": it is a label"))]
    #[case("grenache.dev/injected-by", None)]
    #[case("grenache.dev/template-hash", None)]
    #[case("example.com/anounce", None)]
    fn a_misspelt_annotation_is_warned_of(#[case] key: &str, #[case] message: Option<&str>) {
        let expected: Vec<_> = message
            .iter()
            .map(|message| format!("annotation {key} has no effect{message}"))
            .collect();
        assert_eq!(read(&[(key, "a:1")]).unwrap().warnings, expected);
    }
}
