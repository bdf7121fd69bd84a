//! The values: all are documented and used, and wrong ones are refused.

use std::collections::BTreeMap;

use rstest::rstest;
use serde_yaml::Value;

use crate::helm::{self, Rendered};

#[rstest]
#[case("replica=3", "at '': additional properties 'replica' not allowed")]
#[case("replicas=-1", "at '/replicas': minimum: got -1, want 0")]
#[case("replicas=two", "at '/replicas': got string, want integer")]
#[case("image.name=x", "at '/image': additional properties 'name' not allowed")]
#[case("image.repository=Grenache/Op", "at '/image/repository'")]
#[case("image.repository=", "at '/image/repository'")]
#[case("image.tag=a:b", "at '/image/tag'")]
#[case("image.digest=abc", "at '/image/digest': 'abc' does not match pattern '^(sha256:")]
#[case("image.pullPolicy=Sometimes", "one of 'Always', 'IfNotPresent', 'Never'")]
#[case("grapeImage.pullPolicy=Always", "additional properties 'pullPolicy' not allowed")]
#[case("imagePullSecrets[0]=registry", "at '/imagePullSecrets/0': got string, want object")]
#[case("imagePullSecrets[0].nam=registry", "missing property 'name'")]
#[case("watchNamespaces=market", "at '/watchNamespaces': got string, want array")]
#[case("watchNamespaces={Market}", "at '/watchNamespaces/0': 'Market' does not match pattern")]
#[case("watchNamespaces={a\\,b}", "at '/watchNamespaces/0': 'a,b' does not match pattern")]
#[case("watchNamespaces={a,a}", "items at 0 and 1 are equal")]
#[case("crds.install=yes", "at '/crds/install': got string, want boolean")]
#[case("crds.enabled=true", "at '/crds': additional properties 'enabled' not allowed")]
#[case("serviceAccount.name=a_b", "at '/serviceAccount/name'")]
// A level that does not exist would be taken for a module of that name.
#[case("log.level=inof", "at '/log/level': 'inof' does not match pattern")]
#[case("log.format=xml", "at '/log/format': value must be one of 'json', 'text'")]
#[case("leaderElection.leaseDuration=15", "got number, want string")]
#[case("leaderElection.leaseDuration=1500ms", "'1500ms' does not match pattern")]
#[case(
    "leaderElection.renewDeadline=15s",
    "leaseDuration (15s) has to be longer than leaderElection.renewDeadline (15s)"
)]
#[case(
    "leaderElection.retryPeriod=10s",
    "renewDeadline (10s) has to be longer than leaderElection.retryPeriod (10s)"
)]
#[case("webhook.enabled=maybe", "at '/webhook/enabled': value must be one of 'auto', true, false")]
#[case("webhook.port=443", "at '/webhook/port': minimum: got 443, want 1,024")]
#[case("webhook.port=9090", "at '/webhook/port'")]
#[case("webhook.failurePolicy=Fail", "at '/webhook/failurePolicy': got string, want object")]
#[case("webhook.failurePolicy.pods=Warn", "value must be one of 'Fail', 'Ignore'")]
#[case("webhook.timeoutSeconds=31", "at '/webhook/timeoutSeconds': maximum: got 31, want 30")]
#[case("webhook.objectSelector.app=x", "additional properties 'app' not allowed")]
#[case("webhook.certificates.caBundle=----", "at '/webhook/certificates/caBundle'")]
#[case("observeInterval=15", "at '/observeInterval': got number, want string")]
#[case("observeInterval=0s", "'0s' does not match pattern")]
#[case("observeInterval=15 s", "'15 s' does not match pattern")]
#[case("concurrency=0", "at '/concurrency': minimum: got 0, want 1")]
#[case("resources.limit.memory=1Gi", "at '/resources': additional properties 'limit' not allowed")]
#[case("terminationGracePeriodSeconds=0", "at '/terminationGracePeriodSeconds'")]
#[case("tolerations.key=x", "at '/tolerations': got object, want array")]
#[case("nodeSelector.a=1", "at '/nodeSelector/a': got number, want string")]
#[case("podLabels.a_b=c d", "at '/podLabels/a_b': 'c d' does not match pattern")]
// The NetworkPolicies of GrapeClusters let in who has this one.
#[case("podLabels.app\\.kubernetes\\.io/name=x", "at '/podLabels/app.kubernetes.io~1name'")]
#[case("podAnnotations.a=1", "at '/podAnnotations/a': got number, want string")]
#[case("serviceMonitor.enable=true", "additional properties 'enable' not allowed")]
#[case("prometheusRule.interval=1m", "additional properties 'interval' not allowed")]
#[case("docsUrl=example.org/docs", "at '/docsUrl': 'example.org/docs' does not match pattern")]
#[case("fullnameOverride=Grapes", "'Grapes' does not match pattern")]
fn a_value_that_is_wrong_is_refused_and_named(#[case] set: &str, #[case] message: &str) {
    let refusal = helm::refusal(helm::template(&[&format!("--set={set}")]));
    assert!(refusal.contains(message), "{message:?} is not in {refusal}");
}

/// A value that changes nothing is not used.
#[test]
fn every_value_makes_a_difference() {
    let everything = helm::values("everything.yaml");
    let other: Value =
        serde_yaml::from_str(&std::fs::read_to_string(&everything).unwrap()).unwrap();
    let with_all = ["--values", &everything];
    let rendered = |more: &[&str]| {
        let release = [&with_all, more].concat();
        [Rendered::of(&release), Rendered::tests_of(&release)].map(|all| all.objects().to_vec())
    };
    let all = rendered(&[]);
    for (path, default) in leaves() {
        let given = path.split('.').fold(&other, |value, key| &value[key]);
        assert!(!given.is_null(), "everything.yaml has no {path}");
        assert_ne!(*given, default, "{path} is the default in everything.yaml");
        let json = serde_json::to_string(&default).unwrap();
        // As JSON a mapping would be merged with the other one, and nothing be changed.
        let json = if default.is_mapping() { "null" } else { &json };
        // Nothing at all is refused: it would be no default.
        let path = if path == "resources" { "resources.limits".to_owned() } else { path };
        let without = format!("--set-json={path}={json}");
        assert_ne!(rendered(&[&without]), all, "{path} makes no difference");
    }
}

/// `helm upgrade --reuse-values` gives a new chart the values of an old one, which knows less of them.
#[test]
fn a_value_that_is_missing_is_the_default_or_named() {
    let mut paths: Vec<String> = leaves().into_keys().collect();
    let sections = paths.iter().flat_map(|path| {
        path.match_indices('.').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>()
    });
    paths.extend(sections.collect::<std::collections::BTreeSet<_>>());
    let usual = Rendered::of(&[]).objects().to_vec();
    for path in paths {
        let arguments = helm::template(&[&format!("--set={path}=null"), "--skip-tests"]);
        let output = helm::run(arguments);
        if output.status.success() {
            let rendered = Rendered::parse(std::str::from_utf8(&output.stdout).unwrap());
            assert_eq!(rendered.objects(), usual, "{path} is missing: not the default");
            continue;
        }
        let refusal = String::from_utf8(output.stderr).unwrap();
        let (section, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let section = section.replace('.', "/");
        let at = if section.is_empty() { String::new() } else { format!("/{section}") };
        assert!(refusal.contains(&format!("at '{at}': missing propert")), "{path}: {refusal}");
        assert!(refusal.contains(&format!("'{key}'")), "{path}: {refusal}");
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&helm::file("values.schema.json")).unwrap();
    // Of a chart that has this one as a part.
    let foreign = ["global", "enabled"];
    let mut known = Vec::new();
    let mut open = vec![(String::new(), &schema)];
    while let Some((path, each)) = open.pop() {
        match each.get("properties").and_then(Value::as_mapping) {
            Some(fields) if path != "resources" => {
                assert_eq!(each["additionalProperties"], false, "{path:?} takes anything");
                for (key, field) in fields {
                    let key = key.as_str().unwrap();
                    if path.is_empty() && foreign.contains(&key) {
                        continue;
                    }
                    let inner =
                        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    open.push((inner, field));
                }
            }
            _ => known.push(path),
        }
    }
    known.sort();
    let mut values: Vec<_> = leaves().into_keys().collect();
    values.sort();
    assert_eq!(known, values);
}

/// In the words of values.yaml, in its order.
#[test]
fn the_readme_describes_every_value() {
    let rows: Vec<_> = documented()
        .into_iter()
        .map(|(path, text)| {
            let default = leaves().remove(&path).unwrap();
            format!("| `{path}` | `{}` | {text} |", serde_json::to_string(&default).unwrap())
        })
        .collect();
    let readme = helm::file("README.md");
    let told: Vec<_> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    assert!(
        told == rows,
        "the table in the chart's README.md is stale; this one is right:\n{}",
        rows.join("\n")
    );
}

/// Each value by its path, with its default: all of values.yaml that has no values of ours in it.
fn leaves() -> BTreeMap<String, Value> {
    let values: Value = serde_yaml::from_str(&helm::file("values.yaml")).unwrap();
    let mut leaves = BTreeMap::new();
    let mut open = vec![(String::new(), values)];
    while let Some((path, value)) = open.pop() {
        match value {
            // These two lie in an object that is Kubernetes', not ours.
            Value::Mapping(fields) if !fields.is_empty() && path != "resources" => {
                for (key, value) in fields {
                    let key = key.as_str().unwrap();
                    let path =
                        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    open.push((path, value));
                }
            }
            _ => {
                leaves.insert(path, value);
            }
        }
    }
    leaves
}

/// Each value with the comment above it, in the order of the file. Panics where one has none.
fn documented() -> Vec<(String, String)> {
    let leaves = leaves();
    let (mut told, mut comment, mut path) = (Vec::new(), Vec::new(), Vec::<String>::new());
    for line in helm::file("values.yaml").lines() {
        let text = line.trim_start();
        if let Some(words) = text.strip_prefix('#') {
            comment.push(words.trim().to_owned());
            continue;
        }
        let comment = std::mem::take(&mut comment).join(" ");
        let Some((key, _)) = text.split_once(':') else { continue };
        path.truncate((line.len() - text.len()) / 2);
        path.push(key.to_owned());
        let path = path.join(".");
        if leaves.contains_key(&path) {
            assert!(!comment.is_empty(), "{path} has no comment in values.yaml");
            told.push((path, comment));
        }
    }
    assert_eq!(told.len(), leaves.len(), "{told:?} of {leaves:?}");
    told
}
