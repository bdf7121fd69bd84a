//! The bounds of each field, once: the schema, the validation and its messages read them here.

pub mod pods;

use std::ops::RangeInclusive;
use std::time::Duration;

use kube_core::Rule;

use super::duration;

/// `spec.replicas`.
pub const REPLICAS: RangeInclusive<i32> = 1..=1000;
/// `spec.dht.port` and `spec.api.port`.
pub const PORT: RangeInclusive<i32> = 1..=65535;
/// `spec.dht.concurrency`.
pub const CONCURRENCY: RangeInclusive<i32> = 1..=1024;
/// `spec.dht.maxTables`.
pub const TABLES: RangeInclusive<i32> = 1..=1_000_000;
/// `spec.dht.maxValues`.
pub const VALUES: RangeInclusive<i32> = 1..=1_000_000;
/// `spec.api.maxPayloadSize`, in bytes: an announce of a long name fits in the least.
pub const PAYLOAD: RangeInclusive<i32> = 1024..=1_048_576;

/// `spec.dht.peerMaxAge` and `spec.dht.nodeLiveness`.
pub const AGE: Ages = Ages { least: "1s", most: "24h" };

/// Most entries of `spec.dht.bootstrap`.
pub const BOOTSTRAP_LENGTH: usize = 64;
/// Most characters of one of them: a DNS name has up to 253.
pub const HOST_PORT_LENGTH: usize = 260;
/// What one of them looks like.
pub const HOST_PORT_PATTERN: &str = r"^(\[[0-9A-Za-z:.%_-]+\]|[0-9A-Za-z._-]+):[0-9]{1,5}$";
/// What would be right for one of them.
pub const HOST_PORT_EXPECTED: &str =
    "HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001";

/// One of them, as CEL: the pattern lets the ports 00000 and 99999 pass.
pub fn host_port_rule() -> Rule {
    let port = "int(self.substring(self.lastIndexOf(':') + 1))";
    let rule = format!("{} && {port} >= 1 && {port} <= 65535", matches(HOST_PORT_PATTERN));
    Rule::new(rule).message(&*must_be(HOST_PORT_EXPECTED))
}

/// Most entries of `spec.dht.trustNets`.
pub const TRUST_NETS_LENGTH: usize = 64;
/// Most characters of one of them.
pub const SUBNET_LENGTH: usize = 49;
/// What one of them looks like.
pub const SUBNET_PATTERN: &str = r"^(((25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])/(3[0-2]|[12]?[0-9])|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))$";
/// What would be right for one of them.
pub const SUBNET_EXPECTED: &str = "IP/PREFIX, as in 203.0.113.0/24 or 2001:db8::/48";

/// Where a Grape's admin pages are on Kubernetes, a TCP port.
pub const ADMIN_PORT: u16 = 9091;
/// `spec.injection.adminPort`, `spec.injection.dhtPort` and the annotations that go before them:
/// the Grape's user is unprivileged, and not every node lets it listen at a lower port.
pub const SIDECAR_PORT: RangeInclusive<i32> = 1024..=65535;
/// `spec.injection.adminPort` beside the other ports of the same Grape, as CEL of a spec.
pub fn sidecar_admin_port_rule() -> Rule {
    let dht = "(has(self.injection.dhtPort) ? self.injection.dhtPort : self.dht.port)";
    let own = "self.injection.adminPort";
    let rule = format!(
        "!has(self.injection) || !has({own}) || ({own} != self.api.port && {own} != {dht})"
    );
    Rule::new(rule)
        .message(&*must_be(SIDECAR_ADMIN_PORT_EXPECTED))
        .field_path(".injection.adminPort")
}
/// What would be right for it.
pub const SIDECAR_ADMIN_PORT_EXPECTED: &str =
    "another port than spec.api.port, and than spec.injection.dhtPort or else spec.dht.port";
/// `spec.injection.dhtPort` beside the other ports of the same Grape, as CEL of a spec.
pub fn sidecar_dht_port_rule() -> Rule {
    let admin =
        format!("(has(self.injection.adminPort) ? self.injection.adminPort : {ADMIN_PORT})");
    let own = "self.injection.dhtPort";
    let rule = format!(
        "!has(self.injection) || !has({own}) || ({own} != self.api.port && {own} != {admin})"
    );
    Rule::new(rule).message(&*must_be(SIDECAR_DHT_PORT_EXPECTED)).field_path(".injection.dhtPort")
}
/// What would be right for it.
pub const SIDECAR_DHT_PORT_EXPECTED: &str =
    "another port than spec.api.port, and than spec.injection.adminPort or else 9091";
/// `spec.api.port` beside it, as CEL.
pub const API_PORT_RULE: &str = "self != 9091";
/// What is said when that rule is broken.
pub const API_PORT_EXPECTED: &str = "any port but 9091, where a Grape's admin pages are";

/// A field that keeps its first value, as CEL.
pub const FINAL_RULE: &str = "self == oldSelf";
/// What is said when `spec.dht.port` is to change.
pub const FINAL_PORT: &str = "it is immutable: Grapes before and after the change could not find \
     each other; make a second cluster that has this one in spec.dht.bootstrap and names the same \
     spec.dht.network (of this one NAMESPACE.NAME, unless it names another), and move over";

/// `spec.dht.network`: printable ASCII without spaces.
pub const NETWORK_PATTERN: &str = "^[!-~]+$";
/// Most characters of it.
pub const NETWORK_LENGTH: usize = 253;
/// What would be right for it.
pub const NETWORK_EXPECTED: &str =
    "1 to 253 printable ASCII characters without spaces, as in prod.market";
/// A network name that is set later, or removed, as CEL of `spec.dht`. A cluster with
/// `spec.dht.bootstrap` and without a name refuses no Grapes, so its name may be set or removed.
pub fn network_stays_rule() -> Rule {
    let rule = "has(self.network) == has(oldSelf.network) || \
         size((has(self.network) ? oldSelf : self).bootstrap) > 0";
    Rule::new(rule).message(FINAL_NETWORK).field_path(".network")
}
/// What is said when it is to change.
pub const FINAL_NETWORK: &str = "it is immutable: Grapes before and after the change would refuse \
     each other, and sidecars keep the old one until their pods restart; create a second GrapeCluster";

/// `metadata.name`: it becomes the name of a Service.
pub const NAME_PATTERN: &str = "^[a-z]([-a-z0-9]*[a-z0-9])?$";
/// The same as CEL.
pub fn name_rule() -> Rule {
    Rule::new(format!("self.metadata.name.matches(r'{NAME_PATTERN}')"))
        .message(&*must_be(NAME_EXPECTED))
        .field_path(".metadata.name")
}
/// What would be right for it.
pub const NAME_EXPECTED: &str = "a name of lower-case letters, digits and '-', 44 characters at \
     most, that starts with a letter and ends with a letter or digit, as in market";
/// Most characters of a cluster's name, `-` and a pool's name: pods carry them as a label, with 11
/// characters more.
pub const NAMES_LENGTH: usize = 52;
/// `metadata.name` and `spec.pools[].name`, as CEL.
pub fn names_rule() -> Rule {
    let rule = "size(self.metadata.name) <= 44 && (!has(self.spec.pools) || \
         self.spec.pools.all(pool, size(self.metadata.name) + 1 + size(pool.name) <= 52))";
    Rule::new(rule).message(&*must_be(NAMES_EXPECTED)).field_path(".metadata.name")
}
/// What would be right for them.
pub const NAMES_EXPECTED: &str = "44 characters at most for metadata.name, and 52 for it with '-' \
     and a pool's name: pods carry them as a label";

/// The pool of a cluster that names none.
pub const DEFAULT_POOL: &str = "default";
/// Most entries of `spec.pools`.
pub const POOLS_LENGTH: usize = 32;
/// `spec.pools[].name`.
pub const POOL_NAME_PATTERN: &str = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$";
/// Most characters of it.
pub const POOL_NAME_LENGTH: usize = 30;
/// What would be right for it.
pub const POOL_NAME_EXPECTED: &str = "a name of lower-case letters, digits and '-', 30 characters \
     at most, that starts and ends with a letter or digit, as in zone-1";
/// `spec.pools[].replicas`.
pub const POOL_REPLICAS: RangeInclusive<i32> = 0..=1000;
/// Pools have no more than the cluster, as CEL of a spec.
pub fn fixed_rule() -> Rule {
    let rule = format!("!has(self.pools) || {OF_POOLS} <= self.replicas");
    let told = "at least the replicas of all spec.pools together";
    Rule::new(rule).message(&*must_be(told)).field_path(".replicas")
}

/// Nor do they have less, where each has its own.
pub fn rest_rule() -> Rule {
    let rule = format!(
        "!has(self.pools) || size(self.pools) == 0 || \
         self.pools.exists(pool, !has(pool.replicas)) || {OF_POOLS} >= self.replicas"
    );
    let told = "the replicas of all spec.pools together, unless one of these leaves replicas out \
         and so takes the rest";
    Rule::new(rule).message(&*must_be(told)).field_path(".replicas")
}

const OF_POOLS: &str = "self.pools.map(pool, has(pool.replicas) ? pool.replicas : 0).sum()";

/// `spec.image.repository`: no tag and no digest in it; a host may have a port.
pub const REPOSITORY_PATTERN: &str = "^[0-9A-Za-z]([0-9A-Za-z._-]*[0-9A-Za-z])?(:[0-9]{1,5}/[0-9a-z._/-]*[0-9a-z]|(/[0-9a-z._-]+)*)$";
/// What would be right for it.
pub const REPOSITORY_EXPECTED: &str =
    "an image's name without tag and digest, as in grenache/grape";
/// Most characters of it.
pub const REPOSITORY_LENGTH: usize = 255;
/// `spec.image.tag`.
pub const TAG_PATTERN: &str = "^[0-9A-Za-z_][0-9A-Za-z_.-]{0,127}$";
/// What would be right for it.
pub const TAG_EXPECTED: &str =
    "letters, digits, '_', '.' and '-', 128 characters at most, as in 0.1.0";
/// Most characters of it.
pub const TAG_LENGTH: usize = 128;
/// `spec.image.digest`.
pub const DIGEST_PATTERN: &str = "^sha256:[0-9a-f]{64}$";
/// What would be right for it.
pub const DIGEST_EXPECTED: &str = "sha256: and 64 hex digits";
/// Most characters of it.
pub const DIGEST_LENGTH: usize = 71;
/// Most entries of `spec.image.pullSecrets`.
pub const PULL_SECRETS_LENGTH: usize = 16;

/// Most labels, annotations, and entries of a node selector in a template.
pub const ENTRIES: usize = 64;
/// Most tolerations, and most constraints of spread, in a template.
pub const PLACEMENTS_LENGTH: usize = 32;
/// The labels of a template, as CEL: those that the operator finds pods by are its own.
pub const LABELS_RULE: &str = "self.all(key, !key.startsWith('grenache.dev/') && \
     !(key in ['app.kubernetes.io/name', 'app.kubernetes.io/instance', \
     'app.kubernetes.io/managed-by']))";
/// Those that are named there one by one.
pub const OWN_LABELS: [&str; 3] =
    ["app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/managed-by"];
/// What is said when that rule is broken.
pub const LABELS_EXPECTED: &str = "labels other than grenache.dev/…, app.kubernetes.io/name, \
     app.kubernetes.io/instance and app.kubernetes.io/managed-by, which the operator sets";

/// Most labels, expressions, and values of one, in a selector of namespaces.
pub const SELECTOR_LENGTH: usize = 16;
/// Most characters of a label's key: a DNS name, '/' and a name. Values are shorter.
pub const LABEL_KEY_LENGTH: usize = 317;
/// What an expression of a selector may do.
pub const SELECTOR_OPERATORS: [&str; 4] = ["In", "NotIn", "Exists", "DoesNotExist"];
/// An expression has values if it compares with some, as CEL.
pub fn expression_rule() -> Rule {
    Rule::new("(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)")
        .message(&*must_be(EXPRESSION_EXPECTED))
}
/// What would be right for it.
pub const EXPRESSION_EXPECTED: &str =
    "an expression with values for In and NotIn, and without for Exists and DoesNotExist";
/// Namespaces have a selector if they are chosen by one, as CEL.
pub fn selector_rule() -> Rule {
    Rule::new("(self.from == 'Selector') == has(self.selector)")
        .message(&*must_be(SELECTOR_EXPECTED))
}
/// What would be right for them.
pub const SELECTOR_EXPECTED: &str = "from: Selector with a selector, or another from without one";

/// `priorityClassName` of a template.
pub const PRIORITY_CLASS_PATTERN: &str = "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$";
/// Most characters of it.
pub const PRIORITY_CLASS_LENGTH: usize = 253;
/// What would be right for it.
pub const PRIORITY_CLASS_EXPECTED: &str =
    "the name of a PriorityClass: lower-case letters, digits, '-' and '.', 253 characters at most";

/// Most groups of Grapes named in a status.
pub const PARTITIONS_LENGTH: usize = 8;
/// Most pods named in one list of a status.
pub const NAMED_LENGTH: usize = 16;

/// The bounds of a duration, written as in a manifest.
#[derive(Debug, Clone, Copy)]
pub struct Ages {
    least: &'static str,
    most: &'static str,
}

impl Ages {
    /// The CEL rule that holds a field to these bounds.
    pub fn rule(&self) -> Rule {
        let Self { least, most } = self;
        let shape = matches(duration::PATTERN);
        Rule::new(format!(
            "{shape} && duration(self) >= duration('{least}') && duration(self) <= duration('{most}')"
        ))
        .message(&*must_be(&self.expected()))
    }

    /// What would be right.
    pub fn expected(&self) -> String {
        format!("a duration from {} to {}, as in 120s, 5m or 1h30m", self.least, self.most)
    }

    /// Whether `duration` is within the bounds, the bounds included.
    pub fn contains(&self, duration: Duration) -> bool {
        let bound = |text| duration::parse(text);
        bound(self.least).is_ok_and(|least| least <= duration)
            && bound(self.most).is_ok_and(|most| duration <= most)
    }
}

/// What would be right for a number within `range`.
pub fn expected_number(range: &RangeInclusive<i32>) -> String {
    format!("a whole number from {} to {}", range.start(), range.end())
}

/// What begins the message of a rule, before what would be right.
pub const MUST_BE: &str = "must be ";

/// The message of a rule, as Kubernetes has it.
pub fn must_be(expected: &str) -> String {
    format!("{MUST_BE}{expected}")
}

/// A text that looks like `pattern`, as a rule: for a `pattern` in the schema, the API server's
/// error shows the pattern alone.
pub fn shape(pattern: &str, expected: &str) -> Rule {
    Rule::new(matches(pattern)).message(&*must_be(expected))
}

fn matches(pattern: &str) -> String {
    format!("self.matches(r'{pattern}')")
}
