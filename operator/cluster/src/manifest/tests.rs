//! Files as people write them, good and bad, with the exact message of each refusal.

use rstest::rstest;

use super::*;
use crate::GrapeClusterSpec;

fn cluster(spec: &str) -> String {
    format!(
        "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata:\n  name: market\n{spec}"
    )
}

fn refusal(yaml: &str) -> String {
    let findings = parse(yaml).unwrap_err();
    findings.iter().map(Finding::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn an_empty_spec_has_every_default() {
    let parsed = parse(&cluster("spec: {}\n")).unwrap();
    assert_eq!(parsed.metadata.name.as_deref(), Some("market"));
    assert_eq!(parsed.spec, GrapeClusterSpec::default());
}

#[test]
fn a_whole_spec_is_read() {
    let parsed = parse(&cluster(
        "spec:
  replicas: 5
  dht: {port: 20100, concurrency: 32, peerMaxAge: 1m, nodeLiveness: 90s, maxTables: 10, maxValues: 20,
        bootstrap: [\"old-grape.prod:20001\"]}
  api: {port: 30100, maxPayloadSize: 4096}
  pools:
  - name: zone-1
    replicas: 4
    template:
      nodeSelector: {topology.kubernetes.io/zone: zone-1}
      tolerations: [{key: dedicated, operator: Exists, effect: NoSchedule}]
  - name: zone-2
  image: {repository: grenache/grape, tag: 0.1.0, pullPolicy: Never, pullSecrets: [{name: key}]}
  template: {labels: {team: one}, resources: {requests: {cpu: 1, memory: 64Mi}}}
  networkPolicy: {enabled: false}
  monitoring: {serviceMonitor: true}
  injection: {namespaces: {from: Selector, selector: {matchLabels: {team: one}}}, repair: true}
  paused: true
",
    ))
    .unwrap();
    insta::assert_yaml_snapshot!(parsed.spec, @r#"
    replicas: 5
    pools:
      - name: zone-1
        replicas: 4
        template:
          nodeSelector:
            topology.kubernetes.io/zone: zone-1
          tolerations:
            - effect: NoSchedule
              key: dedicated
              operator: Exists
      - name: zone-2
        template: {}
    image:
      repository: grenache/grape
      tag: 0.1.0
      pullPolicy: Never
      pullSecrets:
        - name: key
    dht:
      port: 20100
      concurrency: 32
      peerMaxAge: 1m
      nodeLiveness: 90s
      maxTables: 10
      maxValues: 20
      bootstrap:
        - "old-grape.prod:20001"
    api:
      port: 30100
      maxPayloadSize: 4096
    template:
      labels:
        team: one
      resources:
        requests:
          cpu: 1
          memory: 64Mi
    networkPolicy:
      enabled: false
    monitoring:
      serviceMonitor: true
    injection:
      namespaces:
        from: Selector
        selector:
          matchLabels:
            team: one
      repair: true
    paused: true
    "#);
}

#[test]
fn a_byte_order_mark_means_nothing() {
    let file = "\u{feff}apiVersion: grenache.dev/v1alpha1\r\nkind: GrapeCluster\r\nmetadata: {name: market}\r\nspec: {}\r\n";
    assert_eq!(parse(file).unwrap(), parse(&file[3..]).unwrap());
    let wrong = file.replace("{}", "{replica: 1}");
    assert_eq!(read(&wrong).unwrap_err()[0].line, Some(4));
}

#[test]
fn the_output_of_kubectl_get_is_read() {
    let parsed = parse(
        "apiVersion: grenache.dev/v1alpha1
kind: GrapeCluster
metadata:
  name: market
  namespace: trading
  creationTimestamp: \"2026-01-02T03:04:05Z\"
  generation: 2
  labels: {team: one}
  resourceVersion: \"42\"
  uid: 5a9e0d4c-0000-4000-8000-000000000000
spec: {replicas: 1}
status: {replicas: 1}
",
    )
    .unwrap();
    assert_eq!(parsed.spec.replicas, 1);
}

#[test]
fn a_field_whose_value_is_commented_out_has_its_default() {
    let parsed = parse(&cluster("spec:\n  replicas:\n  dht:\n    # port: 20100\n")).unwrap();
    assert_eq!(parsed.spec, GrapeClusterSpec::default());
}

#[test]
fn empty_documents_around_the_cluster_are_passed_over() {
    assert!(parse(&format!("---\n---\n{}---\n", cluster("spec: {}\n"))).is_ok());
}

#[rstest]
#[case::unknown_close(
    "spec:\n  dht:\n    peerMaxage: 120s\n",
    "line 7: spec.dht.peerMaxage: there is no such field; did you mean peerMaxAge?"
)]
#[case::unknown_transposed(
    "spec:\n  relpicas: 3\n",
    "line 6: spec.relpicas: there is no such field; did you mean replicas?"
)]
#[case::unknown_far(
    "spec:\n  colour: red\n",
    "line 6: spec.colour: there is no such field; expected one of api, dht, image, injection, monitoring, networkPolicy, paused, pools, replicas, template"
)]
#[case::unknown_in_flow_style(
    "spec: {api: {prot: 1}}\n",
    "line 5: spec.api.prot: there is no such field; did you mean port?"
)]
#[case::unknown_several(
    "spec:\n  apis: {}\n  dth: {}\n",
    "line 6: spec.apis: there is no such field; did you mean api?\n\
     line 7: spec.dth: there is no such field; did you mean dht?"
)]
#[case::unknown_at_the_top(
    "spec: {}\nspecs: {}\n",
    "line 6: specs: there is no such field; did you mean spec?"
)]
#[case::text_for_a_number(
    "spec:\n  replicas: three\n",
    "line 6: spec.replicas: is the text \"three\"; expected a whole number from 1 to 1000"
)]
#[case::text_of_no_kind(
    "spec:\n  image:\n    pullPolicy: Often\n",
    "line 7: spec.image.pullPolicy: is Often; expected one of Always, IfNotPresent, Never"
)]
#[case::quoted_number(
    "spec:\n  replicas: \"3\"\n",
    "line 6: spec.replicas: is the text \"3\"; expected a whole number from 1 to 1000"
)]
#[case::fraction(
    "spec:\n  replicas: 2.5\n",
    "line 6: spec.replicas: is the number 2.5; expected a whole number from 1 to 1000"
)]
#[case::beyond_32_bits(
    "spec:\n  replicas: 3000000000\n",
    "line 6: spec.replicas: is the number 3000000000; expected a whole number from 1 to 1000"
)]
#[case::number_for_a_duration(
    "spec:\n  dht:\n    peerMaxAge: 120\n",
    "line 7: spec.dht.peerMaxAge: is the number 120; expected a duration from 1s to 24h, as in \
     120s, 5m or 1h30m"
)]
#[case::number_in_flow_style(
    "spec: {dht: {port: x}}\n",
    "line 5: spec.dht.port: is the text \"x\"; expected a whole number from 1 to 65535"
)]
#[case::empty_spec(
    "spec:\n",
    "line 5: spec: is empty; expected a mapping, and {} is a good cluster of three"
)]
#[case::text_for_a_mapping(
    "spec:\n  dht: fast\n",
    "line 6: spec.dht: is the text \"fast\"; expected a mapping with any of bootstrap, \
     concurrency, maxTables, maxValues, network, nodeLiveness, peerMaxAge, port, \
     trustNets"
)]
#[case::text_for_a_list(
    "spec:\n  dht:\n    bootstrap: a:1\n",
    "line 7: spec.dht.bootstrap: is the text \"a:1\"; expected a list, each entry HOST:PORT with \
     a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001"
)]
#[case::number_in_a_list(
    "spec:\n  dht:\n    bootstrap:\n    - 20001\n",
    "line 8: spec.dht.bootstrap[0]: is the number 20001; expected HOST:PORT with a port from 1 \
     to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001"
)]
#[case::list_for_spec(
    "spec: []\n",
    "line 5: spec: is a list; expected a mapping with any of api, dht, image, injection, monitoring, networkPolicy, paused, pools, replicas, template"
)]
#[case::unknown_and_wrong_type(
    "spec:\n  apis: {}\n  replicas: no\n",
    "line 6: spec.apis: there is no such field; did you mean api?\n\
     line 7: spec.replicas: is the text \"no\"; expected a whole number from 1 to 1000"
)]
#[case::missing_in_an_entry(
    "spec:\n  pools:\n  - name: a\n  - replicas: 2\n",
    "line 8: spec.pools[1].name: is missing; expected a name of lower-case letters, digits and '-', \
     30 characters at most, that starts and ends with a letter or digit, as in zone-1"
)]
#[case::misspelt_in_an_entry(
    "spec:\n  pools:\n  - name: a\n  - nmae: b\n",
    "line 8: spec.pools[1].nmae: there is no such field; did you mean name?"
)]
#[case::without_spec("", "spec: is missing; expected a mapping, and {} is a good cluster of three")]
#[case::several_documents(
    "spec: {}\n---\nkind: Service\nmetadata: {name: web}\n",
    "the file has 2 documents (GrapeCluster market, Service web); expected one GrapeCluster"
)]
#[case::twice(
    "spec:\n  replicas: 1\n  replicas: 2\n",
    "line 7: spec.replicas: is there twice; expected each field once"
)]
#[case::no_yaml(
    "spec:\n  replicas: 1\n bad: [\n",
    "line 7: this cannot be read as YAML: did not find expected key"
)]
fn errors_of_a_bad_file_say_what_would_be_right(#[case] spec: &str, #[case] message: &str) {
    assert_eq!(refusal(&cluster(spec)), message);
}

#[rstest]
#[case::another_kind(
    "apiVersion: apps/v1\nkind: Deployment\nspec: {}\n",
    "line 1: apiVersion: is apps/v1; expected grenache.dev/v1alpha1\n\
     line 2: kind: is Deployment; expected GrapeCluster"
)]
#[case::nothing_of_ours(
    "replicas: 3\n",
    "apiVersion: is missing; expected grenache.dev/v1alpha1\n\
     kind: is missing; expected GrapeCluster\n\
     spec: is missing; expected a mapping, and {} is a good cluster of three\n\
     line 1: replicas: there is no such field; expected one of apiVersion, kind, metadata, spec"
)]
#[case::no_text(
    "apiVersion: 1\nkind: GrapeCluster\nspec: {}\n",
    "line 1: apiVersion: is no text; expected grenache.dev/v1alpha1"
)]
#[case::misspelled_metadata(
    "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata:\n  nmae: x\nspec: {}\n",
    "line 4: metadata.nmae: there is no such field; did you mean name?"
)]
#[case::metadata_of_another_type(
    "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata: market\nspec: {}\n",
    "line 3: metadata: is the text \"market\"; expected a mapping with a name"
)]
#[case::name_of_another_type(
    "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata:\n  name: 7\nspec: {}\n",
    "line 4: metadata.name: is the number 7; expected text"
)]
#[case::empty(
    "# Nothing here.\n",
    "the file is empty; expected a GrapeCluster such as\n  apiVersion: grenache.dev/v1alpha1\n  \
     kind: GrapeCluster\n  metadata: {name: market}\n  spec: {}"
)]
#[case::prose(
    "hello\n",
    "the file has no fields; expected a GrapeCluster such as\n  apiVersion: \
     grenache.dev/v1alpha1\n  kind: GrapeCluster\n  metadata: {name: market}\n  spec: {}"
)]
fn a_file_without_a_cluster_is_refused(#[case] yaml: &str, #[case] message: &str) {
    assert_eq!(refusal(yaml), message);
}

/// Mistakes of every kind, each at another place.
const ALL_WRONG: &str = "apiVersion: grenache.dev/v1
kind: GrapeCluster
metadata:
  nmae: market
spec:
  replicas: three
  dht:
    port: 70000
    port: 20001
    peerMaxage: 60s
    nodeLiveness: 5 minutes
    bootstrap:
    - old-grape.prod:20001
    - 20001
    - old-grape
  api: {port: 0, maxPayloadSize: [1]}
  pools:
  - replicas: -1
  - name: Zone
    template: {tolerations: none, labels: {team: 7}}
  image: {pullPolicy: Often}
";

fn all_refusals(yaml: &str) -> String {
    let findings = read(yaml).unwrap_err();
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

#[test]
fn all_mistakes_are_reported_together() {
    insta::assert_snapshot!(all_refusals(ALL_WRONG), @r#"
    line 1: apiVersion: is grenache.dev/v1; expected grenache.dev/v1alpha1
    line 4: metadata.nmae: there is no such field; did you mean name?
    line 6: spec.replicas: is the text "three"; expected a whole number from 1 to 1000
    line 8: spec.dht.port: 70000 is too large; expected a whole number from 1 to 65535
    line 9: spec.dht.port: is there twice; expected each field once
    line 10: spec.dht.peerMaxage: there is no such field; did you mean peerMaxAge?
    line 11: spec.dht.nodeLiveness: "5 minutes" is not a duration; expected a duration from 1s to 24h, as in 120s, 5m or 1h30m
    line 14: spec.dht.bootstrap[1]: is the number 20001; expected HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001
    line 15: spec.dht.bootstrap[2]: "old-grape" is not the address of a Grape; expected HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001
    line 16: spec.api.maxPayloadSize: is a list; expected a whole number from 1024 to 1048576
    line 16: spec.api.port: 0 is too small; expected a whole number from 1 to 65535
    line 18: spec.pools[0].name: is missing; expected a name of lower-case letters, digits and '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1
    line 18: spec.pools[0].replicas: -1 is too small; expected a whole number from 0 to 1000
    line 19: spec.pools[1].name: "Zone" cannot be used; expected a name of lower-case letters, digits and '-', 30 characters at most, that starts and ends with a letter or digit, as in zone-1
    line 20: spec.pools[1].template.tolerations: is the text "none"; expected a list, each entry a mapping with any of effect, key, operator, tolerationSeconds, value
    line 20: spec.pools[1].template.labels.team: is the number 7; expected text
    line 21: spec.image.pullPolicy: is Often; expected one of Always, IfNotPresent, Never
    "#);
}

#[test]
fn a_wrong_value_is_reported_once() {
    let yaml = cluster("spec:\n  dht:\n    bootstrap: [1, 2]\n    peerMaxAge: {}\n");
    assert_eq!(all_refusals(&yaml).lines().count(), 3);
}

#[test]
fn a_valid_file_is_read_and_validated() {
    let (cluster, validated) = read(&cluster("spec: {replicas: 5}\n")).unwrap();
    assert_eq!((cluster.spec.replicas, validated.replicas), (5, 5));
}

#[test]
fn the_number_of_reported_mistakes_is_bounded() {
    let entries = "    - 1\n".repeat(10_000);
    let told = all_refusals(&cluster(&format!("spec:\n  dht:\n    bootstrap:\n{entries}")));
    assert_eq!(told.lines().count(), 100);
}

proptest::proptest! {
    /// With any value in place of another, the file is read, or refused with a message.
    #[test]
    fn no_value_anywhere_is_a_panic(line in 0_usize..21, value in "[^\\r\\n]{0,12}") {
        let lines = ALL_WRONG.lines().enumerate().map(|(index, text)| match text.split_once(':') {
            Some((name, _)) if index == line => format!("{name}: {value}\n"),
            _ => format!("{text}\n"),
        });
        assert!(!read(&lines.collect::<String>()).unwrap_err().is_empty());
    }
}

/// The files of docs/production.md: whole ones, and the `spec` of another.
#[test]
fn the_docs_example_for_production_is_valid() {
    let page = include_str!("../../../../docs/production.md");
    let files: Vec<_> =
        page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")).collect();
    assert_eq!(files.len(), 3);
    for (file, _) in files {
        let whole = if file.starts_with("spec:") { cluster(file) } else { file.to_owned() };
        let read = read(&whole);
        assert!(read.is_ok(), "{file}: {:?}", read.err());
    }
}
