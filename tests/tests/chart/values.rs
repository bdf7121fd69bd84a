//! The values: all are documented and used, and wrong ones are refused.

use std::collections::BTreeSet;

use grape_tests::chart;
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
#[case("webhook.port=9090", "webhook.port is 9090, and so is adminPort: give them two ports")]
#[case("adminPort=9443", "webhook.port is 9443, and so is adminPort: give them two ports")]
#[case("adminPort=80", "at '/adminPort': minimum: got 80, want 1,024")]
#[case("webhook.hostNetwork=yes", "at '/webhook/hostNetwork': got string, want boolean")]
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
#[case("image.registry=https://a", "'https://a' does not match pattern")]
#[case("global.imagePullSecrets[0].nam=a", "at '/global/imagePullSecrets/0'")]
#[case("rbac.creat=false", "additional properties 'creat' not allowed")]
#[case("extraEnv.A=b", "at '/extraEnv': got object, want array")]
#[case("extraEnv[0].nam=A", "at '/extraEnv/0': missing property 'name'")]
#[case("extraEnv[0].name=POD_NAME", "extraEnv[0] is POD_NAME: the chart sets it itself")]
#[case("extraEnv[0].name=GRAPE_IMAGE", "extraEnv[0] is GRAPE_IMAGE: use grapeImage")]
#[case("extraArgs={--log=debug}", "extraArgs[0] is --log=debug: use log.level")]
#[case("extraArgs={debug}", "at '/extraArgs/0': 'debug' does not match pattern '^--[a-z]'")]
#[case(
    "extraVolumes[0].name=certificates",
    "extraVolumes[0] has the name certificates, which is that of webhook.certificates.secret"
)]
#[case(
    "extraVolumeMounts[0].name=a,extraVolumeMounts[0].mountPath=/certificates/",
    "extraVolumeMounts[0] is at /certificates, where webhook.certificates.secret is"
)]
#[case("podSecurityContext=1000", "at '/podSecurityContext': got number, want object")]
#[case("updateStrategy.type=OnDelete", "value must be one of 'RollingUpdate', 'Recreate'")]
#[case("revisionHistoryLimit=-1", "at '/revisionHistoryLimit': minimum: got -1, want 0")]
#[case("serviceMonitor.namespace=A", "at '/serviceMonitor/namespace': 'A' does not match")]
#[case("podMonitor.relabelings.a=b", "at '/podMonitor/relabelings': got object, want array")]
#[case("prometheusRule.relabelings[0].a=b", "additional properties 'relabelings' not allowed")]
#[case(
    "commonLabels.app\\.kubernetes\\.io/name=x",
    "commonLabels has app.kubernetes.io/name: only the chart sets labels of app.kubernetes.io"
)]
#[case("commonLabels.grenache\\.dev/grape=x", "only the chart sets labels of grenache.dev")]
#[case(
    "commonLabels.rbac\\.authorization\\.k8s\\.io/aggregate-to-view=yes",
    "only the chart sets labels of rbac.authorization.k8s.io"
)]
#[case("commonLabels.team=a b", "at '/commonLabels/team': 'a b' does not match pattern")]
#[case("nameOverride=Grapes", "'Grapes' does not match pattern")]
#[case("monitoring.podMonitor=true", "additional properties 'podMonitor' not allowed")]
#[case("fullnameOverride=Grapes", "'Grapes' does not match pattern")]
fn a_value_that_is_wrong_is_refused_and_named(#[case] set: &str, #[case] message: &str) {
    let refusal = helm::refusal(helm::template(&[&format!("--set={set}")]));
    assert!(refusal.contains(message), "{message:?} is not in {refusal}");
}

/// A value that changes nothing is not used. Each is tried in a file in which it can change something.
#[test]
fn every_value_makes_a_difference() {
    let files = ["everything.yaml", "otherwise.yaml", "host-network.yaml"].map(|name| {
        let path = helm::values(name);
        let given: Value = serde_yaml::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let all = rendered(&["--values", &path]);
        (path, given, all)
    });
    for (path, default) in chart::defaults().unwrap() {
        let value = |given: &Value| {
            path.split('.').try_fold(given.clone(), |value, key| value.get(key).cloned())
        };
        let (file, given, all) = files
            .iter()
            .find_map(|(file, given, all)| Some((file, value(given)?, all)))
            .unwrap_or_else(|| panic!("no file of values has {path}"));
        assert_ne!(given, default, "{path} is the default in {file}");
        let json = serde_json::to_string(&default).unwrap();
        // As JSON a mapping would be merged with the other one, and nothing be changed.
        let json = if default.is_mapping() { "null" } else { &json };
        // Nothing at all is refused: it would be no default.
        let path = if path == "resources" { "resources.limits".to_owned() } else { path };
        let without = format!("--set-json={path}={json}");
        assert_ne!(rendered(&["--values", file, &without]), *all, "{path} makes no difference");
    }
}

/// All objects, and those of `helm test`.
fn rendered(arguments: &[&str]) -> [Vec<Value>; 2] {
    [Rendered::of(arguments), Rendered::tests_of(arguments)].map(|all| all.objects().to_vec())
}

/// `helm upgrade --reuse-values` gives a new chart the values of an old one, which knows less of them.
#[test]
fn a_value_that_is_missing_is_the_default_or_named() {
    let mut paths: Vec<String> = chart::defaults().unwrap().into_keys().collect();
    let sections = paths.iter().flat_map(|path| {
        path.match_indices('.').map(|(at, _)| path[..at].to_owned()).collect::<Vec<_>>()
    });
    paths.extend(sections.collect::<BTreeSet<_>>());
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

/// But for names that other charts have, which the chart refuses itself.
#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&helm::file("values.schema.json")).unwrap();
    let (mut known, mut others) = (Vec::new(), BTreeSet::new());
    let mut open = vec![(String::new(), &schema)];
    while let Some((path, each)) = open.pop() {
        // Of a chart that has this one as a part.
        if path == "enabled" {
            continue;
        }
        if each.get("$ref").is_some_and(|name| name == "#/definitions/otherName") {
            others.insert(path);
            continue;
        }
        match each.get("properties").and_then(Value::as_mapping) {
            Some(fields) if path != "resources" && path != "updateStrategy" => {
                let closed = each.get("additionalProperties").is_some_and(|it| *it == false);
                assert!(closed || path == "global", "{path:?} takes anything");
                for (key, field) in fields {
                    let key = key.as_str().unwrap();
                    let inner =
                        if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
                    open.push((inner, field));
                }
            }
            _ => known.push(path),
        }
    }
    known.sort();
    let mut values: Vec<_> = chart::defaults().unwrap().into_keys().collect();
    values.sort();
    assert_eq!(known, values);
    let names: BTreeSet<_> = chart::other_names().unwrap().into_iter().map(|it| it.name).collect();
    assert_eq!(others, names);
}
