//! Where a local cluster comes from: a file, standard input, or nowhere.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use grape_cluster::GrapeClusterSpec;
use grape_cluster::manifest::{self, Finding};
use grape_cluster::validate::ValidatedCluster;

/// The cluster without a file.
const DEFAULT: &str = "{apiVersion: grenache.dev/v1alpha1, kind: GrapeCluster, \
                       metadata: {name: grape}, spec: {}}";

/// The fields of the spec that count on this machine, with all that is in them.
const READ: [&str; 3] = ["api", "dht", "replicas"];

/// Why there is no cluster to run.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// The file cannot be read.
    #[error("{} cannot be read: {error}", name(.path))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The file can be read, and what it says cannot be run.
    #[error("{} cannot be used:{}", name(.path), List(.findings))]
    Refused {
        /// The file.
        path: PathBuf,
        /// All that is wrong, at least one.
        findings: Vec<Finding>,
    },
}

/// A cluster to run here.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// All of it.
    pub cluster: ValidatedCluster,
    /// Fields of the spec that the file sets, and that local mode does not use.
    pub unread: Vec<String>,
}

/// Reads the cluster of a file, of standard input if the file is `-`, or three Grapes without a
/// file.
///
/// # Errors
///
/// See [`Unusable`].
pub fn read(path: Option<&Path>) -> Result<Source, Unusable> {
    let Some(path) = path else {
        return of_text(DEFAULT).map_err(|findings| refused(Path::new(""), findings));
    };
    let yaml = text(path).map_err(|error| Unusable::Unreadable { path: path.into(), error })?;
    of_text(&yaml).map_err(|findings| refused(path, findings))
}

fn of_text(yaml: &str) -> Result<Source, Vec<Finding>> {
    let (cluster, validated) = manifest::read(yaml)?;
    Ok(Source { cluster: validated, unread: unread(&cluster.spec) })
}

/// What of a spec is not as by default, and is about pods.
fn unread(spec: &GrapeClusterSpec) -> Vec<String> {
    let fields = |spec: &GrapeClusterSpec| match serde_json::to_value(spec) {
        Ok(serde_json::Value::Object(fields)) => fields,
        _ => Default::default(),
    };
    let defaults = fields(&GrapeClusterSpec::default());
    let set = fields(spec).into_iter().filter(|(name, value)| {
        !READ.contains(&name.as_str()) && defaults.get(name) != Some(value)
    });
    set.map(|(name, _)| format!("spec.{name}")).collect()
}

fn text(path: &Path) -> io::Result<String> {
    if path != Path::new("-") {
        return fs::read_to_string(path);
    }
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    Ok(text)
}

fn refused(path: &Path, findings: Vec<Finding>) -> Unusable {
    Unusable::Refused { path: path.into(), findings }
}

fn name(path: &Path) -> String {
    match path.to_str() {
        Some("-") => "standard input".to_owned(),
        Some("") => "the default cluster".to_owned(),
        _ => path.display().to_string(),
    }
}

/// Findings, a line each.
struct List<'a>(&'a [Finding]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|finding| write!(f, "\n  {finding}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(yaml: &str) -> Result<Source, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), yaml).unwrap();
        let name = file.path().display().to_string();
        read(Some(file.path())).map_err(|error| error.to_string().replace(&name, "cluster.yaml"))
    }

    #[test]
    fn without_a_file_there_are_three_grapes() {
        let Source { cluster, unread } = read(None).unwrap();
        assert_eq!(unread, [""; 0]);
        assert_eq!((&*cluster.name, cluster.replicas), ("grape", 3));
    }

    #[test]
    fn a_file_is_read_and_validated() {
        let Source { cluster, unread } = read_text(
            "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata: {name: market}\n\
             spec: {replicas: 5, paused: true, image: {tag: new}, api: {port: 31000}}\n",
        )
        .unwrap();
        assert_eq!(unread, ["spec.image", "spec.paused"]);
        assert_eq!((&*cluster.name, cluster.replicas), ("market", 5));
    }

    #[test]
    fn all_bad_values_are_reported_with_their_lines() {
        let refusal = read_text(
            "apiVersion: grenache.dev/v1alpha1\nkind: GrapeCluster\nmetadata:\n  name: market\n\
             spec:\n  replicas: 0\n  dht:\n    peerMaxAge: 2 minutes\n    bootstrap:\n    - old-grape\n",
        );
        insta::assert_snapshot!(refusal.unwrap_err(), @r#"
        cluster.yaml cannot be used:
          line 6: spec.replicas: 0 is too small; expected a whole number from 1 to 1000
          line 8: spec.dht.peerMaxAge: "2 minutes" is not a duration; expected a duration from 1s to 24h, as in 120s, 5m or 1h30m
          line 10: spec.dht.bootstrap[0]: "old-grape" is not the address of a Grape; expected HOST:PORT with a port from 1 to 65535, as in old-grape.prod:20001 or [2001:db8::1]:20001
        "#);
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read(Some(Path::new("no/such.yaml"))).unwrap_err().to_string();
        assert_eq!(error, "no/such.yaml cannot be read: No such file or directory (os error 2)");
    }
}
