//! What a template may say of the pods themselves: variables, name servers, users.

use super::{manifest, try_all};

/// Templates that are good.
const ACCEPTED: &[&str] = &[
    "{env: [], hostAliases: [], dnsConfig: {}, securityContext: {}}",
    "{env: null, hostAliases: null, dnsConfig: null, securityContext: null, dnsPolicy: null}",
    "{env: [{name: TZ, value: UTC}, {name: _a.b-C, value: ''}, {name: EMPTY}]}",
    "{env: [{name: GRAPES_ARE_GOOD, value: '$(TZ)'}, {name: POD_IPS}]}",
    "{env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}",
    "{env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]}",
    "{env: [{name: A, valueFrom: {secretKeyRef: {name: a, key: b, optional: true}}}]}",
    "{env: [{name: A, value: '', valueFrom: {configMapKeyRef: {name: a, key: b}}}]}",
    "{dnsPolicy: ClusterFirst}",
    "{dnsPolicy: ClusterFirst, dnsConfig: {options: [{name: ndots, value: '2'}, {name: rotate}]}}",
    "{dnsPolicy: None, dnsConfig: {nameservers: [10.96.0.10, '2001:db8::a'], \
      searches: [cluster.local, example.org], options: [{name: ndots, value: '5'}]}}",
    "{dnsConfig: {searches: [corp.example.org]}}",
    "{hostAliases: [{ip: 10.0.0.1, hostnames: [old-grape, old.example.org]}, {ip: '::1'}]}",
    "{securityContext: {runAsNonRoot: true, runAsUser: 1, runAsGroup: 0, fsGroup: 2147483647}}",
    "{securityContext: {runAsUser: 2147483647, supplementalGroups: [0, 1], \
      supplementalGroupsPolicy: Strict, fsGroupChangePolicy: OnRootMismatch}}",
    "{securityContext: {seccompProfile: {type: RuntimeDefault}, appArmorProfile: {type: RuntimeDefault}}}",
    "{securityContext: {seccompProfile: {type: Localhost, localhostProfile: grape.json}, \
      appArmorProfile: {type: Localhost, localhostProfile: grape}}}",
    "{securityContext: {seLinuxOptions: {level: 's0:c1,c2', type: container_t, user: '', role: ''}, \
      seLinuxChangePolicy: Recursive}}",
    "{securityContext: {sysctls: [{name: net.ipv4.tcp_keepalive_time, value: '60'}, \
      {name: net.ipv4.ip_unprivileged_port_start, value: '0'}]}}",
];

/// Templates that are not, the field, and what is said of it.
const REFUSED: &[(&str, &str, &str)] = &[
    (
        "{env: [{name: GRAPE_NETWORK, value: a}]}",
        "env[0].name",
        "Invalid value: \"GRAPE_NETWORK\": must be a name of letters, digits, '_', '-' and '.' that does not start with a digit; not POD_IP and not GRAPE_…, which the operator sets",
    ),
    (
        "{env: [{name: TZ}, {name: POD_IP, value: a}]}",
        "env[1].name",
        "Invalid value: \"POD_IP\": must be a name of letters, digits, '_', '-' and '.' that does not start with a digit; not POD_IP and not GRAPE_…, which the operator sets",
    ),
    (
        "{env: [{name: 'A=B', value: a}]}",
        "env[0].name",
        "Invalid value: \"A=B\": must be a name of letters, digits, '_', '-' and '.' that does not start with a digit; not POD_IP and not GRAPE_…, which the operator sets",
    ),
    ("{env: [{name: A}, {name: A}]}", "env[1]", "Duplicate value: {\"name\":\"A\"}"),
    (
        "{env: [{name: A, value: b, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}]}",
        "env[0]",
        "Invalid value: must be a variable with value or with valueFrom, not with both",
    ),
    (
        "{env: [{name: A, valueFrom: {}}]}",
        "env[0].valueFrom",
        "Invalid value: must be exactly one of configMapKeyRef, fieldRef, resourceFieldRef and secretKeyRef",
    ),
    (
        "{env: [{name: A, valueFrom: {fieldRef: {fieldPath: spec.nodeName}, secretKeyRef: {name: a, key: b}}}]}",
        "env[0].valueFrom",
        "Invalid value: must be exactly one of configMapKeyRef, fieldRef, resourceFieldRef and secretKeyRef",
    ),
    (
        "{dnsPolicy: Default}",
        "dnsPolicy",
        "Unsupported value: \"Default\": supported values: \"ClusterFirst\", \"None\"",
    ),
    (
        "{dnsPolicy: None}",
        "dnsPolicy",
        "Invalid value: must be ClusterFirst, or None with nameservers in dnsConfig",
    ),
    (
        "{dnsPolicy: None, dnsConfig: {nameservers: [], searches: [cluster.local]}}",
        "dnsPolicy",
        "Invalid value: must be ClusterFirst, or None with nameservers in dnsConfig",
    ),
    (
        "{dnsConfig: {nameservers: [dns.example.org]}}",
        "dnsConfig.nameservers[0]",
        "Invalid value: \"dns.example.org\": must be an IP address, as in 10.0.0.10 or 2001:db8::1",
    ),
    (
        "{dnsConfig: {nameservers: ['::ffff:10.0.0.10']}}",
        "dnsConfig.nameservers[0]",
        "Invalid value: \"::ffff:10.0.0.10\": must be an IP address, as in 10.0.0.10 or 2001:db8::1",
    ),
    (
        "{dnsConfig: {searches: ['Cluster..local']}}",
        "dnsConfig.searches[0]",
        "Invalid value: \"Cluster..local\": must be a DNS name of lower-case letters, digits, '-' and '.', 253 characters at most, as in old-grape.example.org",
    ),
    (
        "{hostAliases: [{ip: 10.0.0.256, hostnames: [a]}]}",
        "hostAliases[0].ip",
        "Invalid value: \"10.0.0.256\": must be an IP address, as in 10.0.0.10 or 2001:db8::1",
    ),
    (
        "{hostAliases: [{ip: 10.0.0.1, hostnames: [a_b]}]}",
        "hostAliases[0].hostnames[0]",
        "Invalid value: \"a_b\": must be a DNS name of lower-case letters, digits, '-' and '.', 253 characters at most, as in old-grape.example.org",
    ),
    (
        "{hostAliases: [{ip: 10.0.0.1}, {ip: 10.0.0.1}]}",
        "hostAliases[1]",
        "Duplicate value: {\"ip\":\"10.0.0.1\"}",
    ),
    (
        "{securityContext: {runAsNonRoot: false}}",
        "securityContext.runAsNonRoot",
        "Invalid value: false: must be true or left out: Pod Security restricted does not allow the user root",
    ),
    (
        "{securityContext: {runAsUser: 0}}",
        "securityContext.runAsUser",
        "Invalid value: 0: must be a user ID from 1 to 2147483647: Pod Security restricted does not allow the user root",
    ),
    (
        "{securityContext: {runAsGroup: -1}}",
        "securityContext.runAsGroup",
        "Invalid value: -1: must be a group ID from 0 to 2147483647",
    ),
    (
        "{securityContext: {supplementalGroups: [1, 2147483648]}}",
        "securityContext.supplementalGroups[1]",
        "Invalid value: 2147483648: must be a group ID from 0 to 2147483647",
    ),
    (
        "{securityContext: {seccompProfile: {type: Unconfined}}}",
        "securityContext.seccompProfile.type",
        "Unsupported value: \"Unconfined\": supported values: \"RuntimeDefault\", \"Localhost\"",
    ),
    (
        "{securityContext: {seccompProfile: {type: Localhost}}}",
        "securityContext.seccompProfile",
        "Invalid value: must be type: Localhost with a localhostProfile, or another type without one",
    ),
    (
        "{securityContext: {appArmorProfile: {type: Unconfined}}}",
        "securityContext.appArmorProfile.type",
        "Unsupported value: \"Unconfined\": supported values: \"RuntimeDefault\", \"Localhost\"",
    ),
    (
        "{securityContext: {seLinuxOptions: {type: spc_t}}}",
        "securityContext.seLinuxOptions.type",
        "Unsupported value: \"spc_t\": supported values: \"\", \"container_t\", \"container_init_t\", \"container_kvm_t\", \"container_engine_t\"",
    ),
    (
        "{securityContext: {seLinuxOptions: {user: system_u}}}",
        "securityContext.seLinuxOptions.user",
        "Invalid value: \"system_u\": must be empty or left out: Pod Security restricted does not allow it to be set",
    ),
    (
        "{securityContext: {sysctls: [{name: kernel.msgmax, value: '1'}]}}",
        "securityContext.sysctls[0].name",
        "Unsupported value: \"kernel.msgmax\": supported values: \"kernel.shm_rmid_forced\", \"net.ipv4.ip_local_port_range\", \"net.ipv4.ip_local_reserved_ports\", \"net.ipv4.ip_unprivileged_port_start\", \"net.ipv4.ping_group_range\", \"net.ipv4.tcp_fin_timeout\", \"net.ipv4.tcp_keepalive_intvl\", \"net.ipv4.tcp_keepalive_probes\", \"net.ipv4.tcp_keepalive_time\", \"net.ipv4.tcp_rmem\", \"net.ipv4.tcp_syncookies\", \"net.ipv4.tcp_wmem\"",
    ),
    (
        "{securityContext: {windowsOptions: {hostProcess: true}}}",
        "securityContext.windowsOptions",
        "Invalid value: must be left out: Grapes run on Linux",
    ),
];

#[tokio::test]
async fn templates_of_pods_that_keep_the_rules_are_accepted() {
    let rows = ACCEPTED.iter().flat_map(|template| {
        [format!("{{template: {template}}}"), in_a_pool(template)].map(|spec| (spec, Ok(())))
    });
    try_all(rows.map(|(spec, told)| (manifest("market", &spec), told))).await;
}

/// Those of all pods, and a pool's own.
#[tokio::test]
async fn templates_of_pods_that_break_a_rule_are_refused_with_what_is_right() {
    let rows = REFUSED.iter().flat_map(|(template, field, told)| {
        [
            (format!("{{template: {template}}}"), format!("spec.template.{field}: {told}")),
            (in_a_pool(template), format!("spec.pools[0].template.{field}: {told}")),
        ]
    });
    try_all(rows.map(|(spec, told)| (manifest("market", &spec), Err(told)))).await;
}

fn in_a_pool(template: &str) -> String {
    format!("{{pools: [{{name: a, template: {template}}}]}}")
}
