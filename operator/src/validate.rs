//! From a spec, as its author wrote it, to a cluster that can run. Pure.
//!
//! On a cluster the API server has held a spec to the schema already. A file in local mode has
//! met no API server, so that all of it is checked here: [`ValidatedCluster`] is the only input to
//! what runs.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use grape::config::HostPort;

use crate::cluster::limits::{self, Ages};
use crate::cluster::{ApiSpec, DhtSpec, DurationText, GrapeCluster, GrapeClusterSpec};

/// A cluster whose every value is within its bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatedCluster {
    /// Its name, a DNS label.
    pub name: String,
    /// How many Grapes it has, at least one.
    pub replicas: usize,
    /// The DHT of its Grapes.
    pub dht: Dht,
    /// The API of each of its Grapes.
    pub api: Api,
}

/// See [`DhtSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dht {
    /// UDP port, 1 to 65535.
    pub port: u16,
    /// Most queries in flight of one lookup.
    pub concurrency: usize,
    /// How long an announced peer is believed.
    pub peer_max_age: Duration,
    /// How often a Grape looks for others.
    pub node_liveness: Duration,
    /// Most names held, and most lookups kept.
    pub max_tables: usize,
    /// Most items held.
    pub max_values: usize,
    /// Grapes outside the cluster to join.
    pub bootstrap: Vec<HostPort>,
}

/// See [`ApiSpec`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// TCP port, 1 to 65535.
    pub port: u16,
    /// Largest body of a request in bytes.
    pub max_payload_size: usize,
}

/// A field whose value cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// Its path, as in `spec.dht.peerMaxAge`.
    pub field: String,
    /// What is wrong, as in `"2 minutes" is not a duration`.
    pub problem: String,
    /// What would be right, as a phrase.
    pub expected: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, problem, expected } = self;
        write!(f, "{field}: {problem}; expected {expected}")
    }
}

/// Turns a cluster into values that can run.
///
/// # Errors
///
/// All fields that cannot be used, in the order of the API.
pub fn validate(cluster: &GrapeCluster) -> Result<ValidatedCluster, Vec<Invalid>> {
    let GrapeClusterSpec { replicas, dht, api } = &cluster.spec;
    let mut check = Check::default();
    let validated = ValidatedCluster {
        name: check.name(cluster.metadata.name.as_deref()),
        replicas: check.number("spec.replicas", *replicas, limits::REPLICAS),
        dht: check.dht(dht),
        api: check.api(api),
    };
    if check.invalid.is_empty() { Ok(validated) } else { Err(check.invalid) }
}

/// Gathers what is wrong. A bad value is noted and read as a default, which nobody gets to see:
/// [`validate`] returns the notes instead.
#[derive(Default)]
struct Check {
    invalid: Vec<Invalid>,
}

impl Check {
    fn dht(&mut self, spec: &DhtSpec) -> Dht {
        let DhtSpec {
            port,
            concurrency,
            peer_max_age,
            node_liveness,
            max_tables,
            max_values,
            bootstrap,
        } = spec;
        Dht {
            port: self.number("spec.dht.port", *port, limits::PORT),
            concurrency: self.number("spec.dht.concurrency", *concurrency, limits::CONCURRENCY),
            peer_max_age: self.duration("spec.dht.peerMaxAge", peer_max_age, limits::AGE),
            node_liveness: self.duration("spec.dht.nodeLiveness", node_liveness, limits::AGE),
            max_tables: self.number("spec.dht.maxTables", *max_tables, limits::TABLES),
            max_values: self.number("spec.dht.maxValues", *max_values, limits::VALUES),
            bootstrap: self.bootstrap("spec.dht.bootstrap", bootstrap),
        }
    }

    fn api(&mut self, spec: &ApiSpec) -> Api {
        let ApiSpec { port, max_payload_size } = spec;
        Api {
            port: self.number("spec.api.port", *port, limits::PORT),
            max_payload_size: self.number(
                "spec.api.maxPayloadSize",
                *max_payload_size,
                limits::PAYLOAD,
            ),
        }
    }

    fn name(&mut self, name: Option<&str>) -> String {
        let expected = "a name of lower-case letters, digits and '-', 63 characters at most, \
                        that starts and ends with a letter or digit, as in market";
        let name = name.unwrap_or_default();
        if name.is_empty() {
            self.note("metadata.name", "is missing", expected);
        } else if !is_dns_label(name) {
            self.note("metadata.name", format!("{name:?} is no name for a cluster"), expected);
        }
        name.to_owned()
    }

    fn number<T: TryFrom<i32> + Default>(
        &mut self,
        field: &str,
        value: i32,
        range: RangeInclusive<i32>,
    ) -> T {
        let problem = if value < *range.start() {
            format!("{value} is too small")
        } else if value > *range.end() {
            format!("{value} is too large")
        } else if let Ok(value) = T::try_from(value) {
            return value;
        } else {
            format!("{value} cannot be used")
        };
        self.note(field, problem, limits::expected_number(&range));
        T::default()
    }

    fn duration(&mut self, field: &str, text: &DurationText, bounds: Ages) -> Duration {
        let problem = match text.parse() {
            Ok(duration) if bounds.contains(duration) => return duration,
            Ok(_) => "is out of bounds".to_owned(),
            Err(why) => why.to_string(),
        };
        self.note(field, format!("{:?} {problem}", text.to_string()), bounds.expected());
        Duration::default()
    }

    fn bootstrap(&mut self, field: &str, addresses: &[String]) -> Vec<HostPort> {
        let most = limits::BOOTSTRAP_LENGTH;
        if addresses.len() > most {
            let count = addresses.len();
            self.note(field, format!("has {count} entries"), format!("{most} at most"));
        }
        let mut hosts = Vec::new();
        for (index, address) in addresses.iter().enumerate() {
            let field = format!("{field}[{index}]");
            match address.parse::<HostPort>() {
                Ok(host) if address.len() <= limits::HOST_PORT_LENGTH => {
                    if hosts.contains(&host) {
                        self.note(&field, format!("{address:?} is there twice"), "each Grape once");
                    }
                    hosts.push(host);
                }
                Ok(_) => self.note(&field, "is too long", limits::HOST_PORT_EXPECTED),
                Err(_) => self.note(
                    &field,
                    format!("{address:?} is not the address of a Grape"),
                    limits::HOST_PORT_EXPECTED,
                ),
            }
        }
        hosts
    }

    fn note(&mut self, field: &str, problem: impl Into<String>, expected: impl Into<String>) {
        self.invalid.push(Invalid {
            field: field.to_owned(),
            problem: problem.into(),
            expected: expected.into(),
        });
    }
}

pub(crate) fn is_dns_label(name: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    name.len() <= 63 && name.bytes().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn cluster(change: impl FnOnce(&mut GrapeClusterSpec)) -> GrapeCluster {
        let mut spec = GrapeClusterSpec::default();
        change(&mut spec);
        GrapeCluster::new("market", spec)
    }

    fn refusal(cluster: &GrapeCluster) -> String {
        let invalid = validate(cluster).unwrap_err();
        invalid.iter().map(Invalid::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_default_spec_is_a_good_cluster_of_three() {
        let validated = validate(&cluster(|_| {})).unwrap();
        assert_eq!(validated.replicas, 3);
        assert_eq!(validated.dht.peer_max_age, Duration::from_secs(120));
        assert_eq!(validated.api, Api { port: 30001, max_payload_size: 8192 });
    }

    #[rstest]
    #[case::replicas_none(
        cluster(|spec| spec.replicas = 0),
        "spec.replicas: 0 is too small; expected a whole number from 1 to 1000"
    )]
    #[case::replicas_many(
        cluster(|spec| spec.replicas = 1001),
        "spec.replicas: 1001 is too large; expected a whole number from 1 to 1000"
    )]
    #[case::port(
        cluster(|spec| spec.dht.port = 65536),
        "spec.dht.port: 65536 is too large; expected a whole number from 1 to 65535"
    )]
    #[case::payload(
        cluster(|spec| spec.api.max_payload_size = 100),
        "spec.api.maxPayloadSize: 100 is too small; expected a whole number from 1024 to 1048576"
    )]
    #[case::age_without_unit(
        cluster(|spec| spec.dht.peer_max_age = "120".into()),
        "spec.dht.peerMaxAge: \"120\" has no unit; expected a duration from 1s to 24h, as in \
         120s, 5m or 1h30m"
    )]
    #[case::age_in_words(
        cluster(|spec| spec.dht.peer_max_age = "2 minutes".into()),
        "spec.dht.peerMaxAge: \"2 minutes\" is not a duration; expected a duration from 1s to \
         24h, as in 120s, 5m or 1h30m"
    )]
    #[case::age_short(
        cluster(|spec| spec.dht.node_liveness = "999ms".into()),
        "spec.dht.nodeLiveness: \"999ms\" is out of bounds; expected a duration from 1s to 24h, \
         as in 120s, 5m or 1h30m"
    )]
    #[case::address_without_port(
        cluster(|spec| spec.dht.bootstrap = vec!["a:1".to_owned(), "old-grape.prod".to_owned()]),
        "spec.dht.bootstrap[1]: \"old-grape.prod\" is not the address of a Grape; expected \
         HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001"
    )]
    #[case::address_twice(
        cluster(|spec| spec.dht.bootstrap = vec!["a:1".to_owned(), "a:1".to_owned()]),
        "spec.dht.bootstrap[1]: \"a:1\" is there twice; expected each Grape once"
    )]
    #[case::addresses_many(
        cluster(|spec| spec.dht.bootstrap = (1..=65).map(|port| format!("a:{port}")).collect()),
        "spec.dht.bootstrap: has 65 entries; expected 64 at most"
    )]
    #[case::all_at_once(
        cluster(|spec| {
            spec.replicas = -1;
            spec.dht.concurrency = 0;
            spec.api.port = 0;
        }),
        "spec.replicas: -1 is too small; expected a whole number from 1 to 1000\n\
         spec.dht.concurrency: 0 is too small; expected a whole number from 1 to 1024\n\
         spec.api.port: 0 is too small; expected a whole number from 1 to 65535"
    )]
    fn a_bad_value_is_told_what_would_be_right(
        #[case] cluster: GrapeCluster,
        #[case] message: &str,
    ) {
        assert_eq!(refusal(&cluster), message);
    }

    #[rstest]
    #[case("", "is missing")]
    #[case("Market", "\"Market\" is no name for a cluster")]
    #[case("-a", "\"-a\" is no name for a cluster")]
    #[case("a.b", "\"a.b\" is no name for a cluster")]
    fn a_name_that_is_no_dns_label_is_refused(#[case] name: &str, #[case] problem: &str) {
        let cluster = GrapeCluster::new(name, GrapeClusterSpec::default());
        let invalid = validate(&cluster).unwrap_err();
        assert_eq!(invalid[0].field, "metadata.name");
        assert_eq!(invalid[0].problem, problem);
    }
}
