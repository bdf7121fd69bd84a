//! The bounds of numbers, lists and mappings, both ends of each.

use super::{manifest, try_all};

/// Fields with a number `N`, their paths, and the bounds of each.
const RANGES: &[(&str, &str, i64, i64)] = &[
    ("{replicas: N}", "spec.replicas", 1, 1000),
    ("{dht: {port: N}}", "spec.dht.port", 1, 65535),
    ("{dht: {concurrency: N}}", "spec.dht.concurrency", 1, 1024),
    ("{dht: {maxTables: N}}", "spec.dht.maxTables", 1, 1_000_000),
    ("{dht: {maxValues: N}}", "spec.dht.maxValues", 1, 1_000_000),
    ("{api: {port: N}}", "spec.api.port", 1, 65535),
    ("{api: {maxPayloadSize: N}}", "spec.api.maxPayloadSize", 1024, 1_048_576),
];

/// A spec with a number of entries.
type SpecWith = fn(usize) -> String;

/// A spec with such a selector of namespaces.
fn selecting(selector: &str) -> String {
    format!("{{injection: {{namespaces: {{from: Selector, selector: {{{selector}}}}}}}}}")
}

/// Lists and mappings with a number of entries, and the most of each.
fn lengths() -> Vec<(&'static str, usize, SpecWith)> {
    fn list(count: usize, entry: impl Fn(usize) -> String) -> String {
        (0..count).map(entry).collect::<Vec<_>>().join(", ")
    }
    fn map(count: usize) -> String {
        list(count, |index| format!("k{index}: '1'"))
    }
    vec![
        ("spec.pools", 32, |count| {
            format!(
                "{{replicas: 100, pools: [{}]}}",
                list(count, |index| format!("{{name: p{index}}}"))
            )
        }),
        ("spec.dht.trustNets", 64, |count| {
            let networks: Vec<_> = (0..count).map(|n| format!("'10.{n}.0.0/16'")).collect();
            format!("{{dht: {{trustNets: [{}]}}}}", networks.join(", "))
        }),
        ("spec.dht.bootstrap", 64, |count| {
            format!(
                "{{dht: {{bootstrap: [{}]}}}}",
                list(count, |index| format!("'a:{}'", index + 1))
            )
        }),
        ("spec.image.pullSecrets", 16, |count| {
            format!(
                "{{image: {{pullSecrets: [{}]}}}}",
                list(count, |index| format!("{{name: s{index}}}"))
            )
        }),
        ("spec.template.labels", 64, |count| {
            format!("{{template: {{labels: {{{}}}}}}}", map(count))
        }),
        ("spec.template.annotations", 64, |count| {
            format!("{{template: {{annotations: {{{}}}}}}}", map(count))
        }),
        ("spec.template.nodeSelector", 64, |count| {
            format!("{{template: {{nodeSelector: {{{}}}}}}}", map(count))
        }),
        ("spec.template.resources.requests", 64, |count| {
            format!("{{template: {{resources: {{requests: {{{}}}}}}}}}", map(count))
        }),
        ("spec.template.resources.limits", 64, |count| {
            format!("{{template: {{resources: {{limits: {{{}}}}}}}}}", map(count))
        }),
        ("spec.injection.namespaces.selector.matchLabels", 16, |count| {
            selecting(&format!("matchLabels: {{{}}}", map(count)))
        }),
        ("spec.injection.namespaces.selector.matchExpressions", 16, |count| {
            let entries = list(count, |index| format!("{{key: k{index}, operator: Exists}}"));
            selecting(&format!("matchExpressions: [{entries}]"))
        }),
        ("spec.injection.namespaces.selector.matchExpressions[0].values", 16, |count| {
            let values = list(count, |index| format!("v{index}"));
            selecting(&format!("matchExpressions: [{{key: a, operator: In, values: [{values}]}}]"))
        }),
        ("spec.template.env", 32, |count| {
            let entries = list(count, |index| format!("{{name: K{index}}}"));
            format!("{{template: {{env: [{entries}]}}}}")
        }),
        ("spec.template.hostAliases", 16, |count| {
            let entries = list(count, |index| format!("{{ip: 10.0.0.{index}}}"));
            format!("{{template: {{hostAliases: [{entries}]}}}}")
        }),
        ("spec.template.hostAliases[0].hostnames", 8, |count| {
            let names = list(count, |index| format!("h{index}"));
            format!("{{template: {{hostAliases: [{{ip: 10.0.0.1, hostnames: [{names}]}}]}}}}")
        }),
        ("spec.template.dnsConfig.nameservers", 3, |count| {
            let servers = list(count, |index| format!("10.0.0.{index}"));
            format!("{{template: {{dnsConfig: {{nameservers: [{servers}]}}}}}}")
        }),
        ("spec.template.dnsConfig.searches", 32, |count| {
            let domains = list(count, |index| format!("d{index}"));
            format!("{{template: {{dnsConfig: {{searches: [{domains}]}}}}}}")
        }),
        ("spec.template.dnsConfig.options", 16, |count| {
            let options = list(count, |index| format!("{{name: o{index}}}"));
            format!("{{template: {{dnsConfig: {{options: [{options}]}}}}}}")
        }),
        ("spec.template.securityContext.supplementalGroups", 32, |count| {
            let groups = list(count, |index| index.to_string());
            format!("{{template: {{securityContext: {{supplementalGroups: [{groups}]}}}}}}")
        }),
        ("spec.template.tolerations", 32, |count| {
            let entries = list(count, |index| format!("{{key: k{index}}}"));
            format!("{{template: {{tolerations: [{entries}]}}}}")
        }),
        ("spec.template.topologySpreadConstraints", 32, |count| {
            let entries = list(count, |index| {
                format!("{{maxSkew: 1, topologyKey: k{index}, whenUnsatisfiable: DoNotSchedule}}")
            });
            format!("{{template: {{topologySpreadConstraints: [{entries}]}}}}")
        }),
    ]
}

#[tokio::test]
async fn numbers_are_held_to_their_bounds() {
    let rows = RANGES.iter().flat_map(|&(spec, path, least, most)| {
        let with = |number: i64| manifest("market", &spec.replace('N', &number.to_string()));
        let refused = |number: i64, bound: String| {
            let told = format!("{path}: Invalid value: {number}: {path} in body should be {bound}");
            (with(number), Err(told))
        };
        [
            refused(least - 1, format!("greater than or equal to {least}")),
            (with(least), Ok(())),
            (with(most), Ok(())),
            refused(most + 1, format!("less than or equal to {most}")),
        ]
    });
    try_all(rows).await;
}

#[tokio::test]
async fn lists_and_mappings_are_held_to_their_lengths() {
    let rows = lengths().into_iter().flat_map(|(path, most, spec)| {
        let more = most + 1;
        let told = format!("{path}: Too many: {more}: must have at most {most} items");
        [(manifest("market", &spec(most)), Ok(())), (manifest("market", &spec(more)), Err(told))]
    });
    try_all(rows).await;
}
