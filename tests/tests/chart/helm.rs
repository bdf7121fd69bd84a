//! helm itself, and the objects that it renders of the chart.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Output;

use grape_tests::kubernetes::helm;
use k8s_openapi::Resource;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_yaml::Value;

/// The chart's folder.
pub fn chart() -> PathBuf {
    helm::chart().unwrap()
}

/// A file of the chart, as text.
pub fn file(name: &str) -> String {
    let path = chart().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The path of a values file of these tests.
pub fn values(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chart/values");
    folder.join(name).to_str().unwrap().to_owned()
}

/// Runs helm to its end, also if it fails.
pub fn run<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Output {
    helm::command().unwrap().args(arguments).output().unwrap()
}

/// What helm printed.
pub fn printed<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Why helm failed.
pub fn refusal<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> String {
    let output = run(arguments);
    assert!(!output.status.success(), "helm took it: {}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stderr).unwrap()
}

/// The command line that renders the release `grape-operator` in the namespace `ops`.
pub fn template(arguments: &[&str]) -> Vec<String> {
    template_of("grape-operator", "ops", arguments)
}

/// The command line that renders a release in a namespace.
pub fn template_of(release: &str, namespace: &str, arguments: &[&str]) -> Vec<String> {
    let (chart, namespace) = (chart(), format!("--namespace={namespace}"));
    let common = ["template", release, chart.to_str().unwrap(), &namespace];
    common.iter().chain(arguments).map(|&each| each.to_owned()).collect()
}

/// The objects of a release.
pub struct Rendered(Vec<Value>);

impl Rendered {
    /// Without those of `helm test`. `arguments` are helm's, as in `--set=replicas=3`.
    pub fn of(arguments: &[&str]) -> Self {
        Self::parse(&printed(template(&[arguments, &["--skip-tests"]].concat())))
    }

    /// Those of `helm test` alone.
    pub fn tests_of(arguments: &[&str]) -> Self {
        let show = ["--show-only=templates/tests/check.yaml"];
        Self::parse(&printed(template(&[arguments, &show].concat())))
    }

    /// Those of what helm printed.
    pub fn parse(yaml: &str) -> Self {
        let documents = serde_yaml::Deserializer::from_str(yaml);
        let values = documents.map(|each| Value::deserialize(each).unwrap());
        Self(values.filter(|value| !value.is_null()).collect())
    }

    /// Every object.
    pub fn objects(&self) -> &[Value] {
        &self.0
    }

    /// Each object as `KIND NAME`, or `KIND NAMESPACE/NAME`, in order.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.0.iter().map(name).collect();
        names.sort();
        names
    }

    /// All objects of a type.
    pub fn all<K: Resource + DeserializeOwned>(&self) -> Vec<K> {
        let of_type = self
            .0
            .iter()
            .filter(|each| each["kind"] == K::KIND && each["apiVersion"] == K::API_VERSION);
        of_type.map(|each| serde_yaml::from_value(each.clone()).unwrap()).collect()
    }

    /// The only object of a type.
    pub fn one<K: Resource + DeserializeOwned>(&self) -> K {
        let mut all = self.all();
        assert_eq!(all.len(), 1, "{} in {:?}", K::KIND, self.names());
        all.remove(0)
    }

    /// The only object of a kind for which there is no type here.
    pub fn one_of_kind(&self, kind: &str) -> &Value {
        let all: Vec<_> = self.0.iter().filter(|each| each["kind"] == kind).collect();
        assert_eq!(all.len(), 1, "{kind} in {:?}", self.names());
        all[0]
    }
}

fn name(object: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let (kind, metadata) = (text(&object["kind"]), &object["metadata"]);
    let name = text(&metadata["name"]);
    match metadata.get("namespace") {
        Some(namespace) => format!("{kind} {}/{name}", text(namespace)),
        None => format!("{kind} {name}"),
    }
}
