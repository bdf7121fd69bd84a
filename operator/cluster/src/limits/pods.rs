//! The bounds of what a template says of the pods themselves: variables, name servers, users.

use kube_core::Rule;

use super::{matches, must_be};

/// Most entries of `env`.
pub const ENV_LENGTH: usize = 32;
/// The name of a variable.
pub const ENV_NAME_PATTERN: &str = "^[-._a-zA-Z][-._a-zA-Z0-9]*$";
/// Most characters of it.
pub const ENV_NAME_LENGTH: usize = 253;
/// What begins the names of the variables that the operator sets …
pub const ENV_OWN_PREFIX: &str = "GRAPE_";
/// … and one more of them.
pub const ENV_OWN_NAME: &str = "POD_IP";
/// What would be right for the name of a variable.
pub const ENV_NAME_EXPECTED: &str = "a name of letters, digits, '_', '-' and '.' that does not start \
     with a digit; not POD_IP and not GRAPE_…, which the operator sets";
/// Most characters of the value of a variable.
pub const ENV_VALUE_LENGTH: usize = 4096;
/// What would be right for a variable that has a value and a reference.
pub const ENV_SOURCE_EXPECTED: &str = "a variable with value or with valueFrom, not with both";
/// What would be right for `valueFrom`.
pub const ENV_FROM_EXPECTED: &str =
    "exactly one of configMapKeyRef, fieldRef, resourceFieldRef and secretKeyRef";

/// The name of a variable, as CEL.
pub fn env_name_rule() -> Rule {
    let own = format!("self.startsWith('{ENV_OWN_PREFIX}') || self == '{ENV_OWN_NAME}'");
    Rule::new(format!("{} && !({own})", matches(ENV_NAME_PATTERN)))
        .message(&*must_be(ENV_NAME_EXPECTED))
}

/// A variable has one source, as CEL.
pub fn env_source_rule() -> Rule {
    Rule::new("!has(self.valueFrom) || !has(self.value) || self.value == ''")
        .message(&*must_be(ENV_SOURCE_EXPECTED))
}

/// A reference has one target, as CEL.
pub fn env_from_rule() -> Rule {
    let fields = ["configMapKeyRef", "fieldRef", "resourceFieldRef", "secretKeyRef"];
    let counts = fields.map(|field| format!("(has(self.{field}) ? 1 : 0)"));
    Rule::new(format!("{} == 1", counts.join(" + "))).message(&*must_be(ENV_FROM_EXPECTED))
}

/// Most entries of `hostAliases`.
pub const HOST_ALIASES_LENGTH: usize = 16;
/// Most names of one of them.
pub const HOSTNAMES_LENGTH: usize = 8;
/// A host's name, or a domain in which names are searched.
pub const DOMAIN_PATTERN: &str =
    r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";
/// Most characters of it.
pub const DOMAIN_LENGTH: usize = 253;
/// What would be right for it.
pub const DOMAIN_EXPECTED: &str = "a DNS name of lower-case letters, digits, '-' and '.', 253 \
     characters at most, as in old-grape.example.org";
/// Most characters of an address.
pub const ADDRESS_LENGTH: usize = 45;
/// What would be right for an address.
pub const ADDRESS_EXPECTED: &str = "an IP address, as in 10.0.0.10 or 2001:db8::1";

/// An address, as CEL.
pub fn address_rule() -> Rule {
    Rule::new("isIP(self)").message(&*must_be(ADDRESS_EXPECTED))
}

/// Most name servers, as a pod may have.
pub const NAMESERVERS_LENGTH: usize = 3;
/// Most domains in which names are searched, as a pod may have.
pub const SEARCHES_LENGTH: usize = 32;
/// Most characters of all these domains, with a space between two of them.
pub const SEARCHES_CHARACTERS: usize = 2048;
/// What would be right for them.
pub const SEARCHES_EXPECTED: &str =
    "domains with 2048 characters together, a space between two of them counted";
/// Most options of the resolver.
pub const DNS_OPTIONS_LENGTH: usize = 16;
/// Most characters of the name of an option, and of its value.
pub const DNS_OPTION_LENGTH: usize = 63;

/// The domains together, as CEL.
pub fn searches_rule() -> Rule {
    Rule::new(format!("self.join(' ').size() <= {SEARCHES_CHARACTERS}"))
        .message(&*must_be(SEARCHES_EXPECTED))
}

/// Pods whose name servers are not the cluster's have their own, as CEL of a template.
pub fn dns_rule() -> Rule {
    Rule::new(
        "!has(self.dnsPolicy) || self.dnsPolicy != 'None' || (has(self.dnsConfig) && \
         has(self.dnsConfig.nameservers) && size(self.dnsConfig.nameservers) > 0)",
    )
    .message(&*must_be(DNS_EXPECTED))
    .field_path(".dnsPolicy")
}
/// What would be right for `dnsPolicy`.
pub const DNS_EXPECTED: &str = "ClusterFirst, or None with nameservers in dnsConfig";

/// The largest id of a user or group.
pub const MAX_ID: i64 = 2_147_483_647;
/// Most entries of `supplementalGroups`.
pub const GROUPS_LENGTH: usize = 32;
/// What would be right for `runAsUser`.
pub const USER_EXPECTED: &str =
    "a user ID from 1 to 2147483647: Pod Security restricted does not allow the user root";
/// The user, as CEL.
pub fn user_rule() -> Rule {
    Rule::new(format!("self >= 1 && self <= {MAX_ID}")).message(&*must_be(USER_EXPECTED))
}
/// What would be right for the id of a group.
pub const GROUP_EXPECTED: &str = "a group ID from 0 to 2147483647";
/// A group, as CEL.
pub fn group_rule() -> Rule {
    Rule::new(format!("self >= 0 && self <= {MAX_ID}")).message(&*must_be(GROUP_EXPECTED))
}
/// What would be right for `runAsNonRoot`.
pub const NON_ROOT_EXPECTED: &str =
    "true or left out: Pod Security restricted does not allow the user root";
/// The same as CEL.
pub fn non_root_rule() -> Rule {
    Rule::new("self").message(&*must_be(NON_ROOT_EXPECTED))
}
/// The types of a seccomp or AppArmor profile. Pod Security restricted allows no other.
pub const PROFILES: [&str; 2] = ["RuntimeDefault", "Localhost"];
/// The type of profile that lies on the nodes.
pub const LOCAL_PROFILE: &str = "Localhost";
/// What would be right for a profile.
pub const PROFILE_EXPECTED: &str =
    "type: Localhost with a localhostProfile, or another type without one";
/// A profile has the name of a file if it is one, as CEL.
pub fn profile_rule() -> Rule {
    Rule::new(format!(
        "(self.type == '{LOCAL_PROFILE}') == (has(self.localhostProfile) && self.localhostProfile != '')"
    ))
    .message(&*must_be(PROFILE_EXPECTED))
}
/// The SELinux types that Pod Security restricted allows.
pub const SE_LINUX_TYPES: [&str; 5] =
    ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];
/// What would be right for the SELinux user and role.
pub const SE_LINUX_EXPECTED: &str =
    "empty or left out: Pod Security restricted does not allow it to be set";
/// The same as CEL.
pub fn se_linux_rule() -> Rule {
    Rule::new("self == ''").message(&*must_be(SE_LINUX_EXPECTED))
}
/// Most characters of another text: a name, a path, a setting.
pub const TEXT_LENGTH: usize = 253;
/// Most entries of `sysctls`.
pub const SYSCTLS_LENGTH: usize = 12;
/// The sysctls that Pod Security restricted allows.
pub const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];
/// What would be right for `fsGroupChangePolicy`.
pub const FS_GROUP_POLICIES: [&str; 2] = ["OnRootMismatch", "Always"];
/// What would be right for `supplementalGroupsPolicy`.
pub const GROUPS_POLICIES: [&str; 2] = ["Merge", "Strict"];
/// What would be right for `seLinuxChangePolicy`.
pub const SE_LINUX_POLICIES: [&str; 2] = ["MountOption", "Recursive"];
/// What would be right for `windowsOptions`.
pub const WINDOWS_EXPECTED: &str = "left out: Grapes run on Linux";
/// The same as CEL.
pub fn windows_rule() -> Rule {
    Rule::new("false").message(&*must_be(WINDOWS_EXPECTED))
}
