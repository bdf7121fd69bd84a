//! `release/push`, to a registry with a password on loopback: what it pushes, what it writes, and what it
//! says when it cannot push.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod kustomize;
mod manifest;
mod pushed;
mod refused;

use std::path::{Path, PathBuf};
use std::process::Command;

use grape_tests::kubernetes::script;
use grape_tests::release::{Dist, Login, Registry, tools};
use tempfile::TempDir;

/// A release of small images, and a registry that somebody is logged in to.
struct Scene {
    registry: Registry,
    login: Login,
    dist: Dist,
}

impl Scene {
    async fn new() -> Self {
        let registry = Registry::on_loopback().await.unwrap();
        let login = Login::none(&registry).unwrap();
        login.by_helm(&registry).unwrap();
        Self { registry, login, dist: small() }
    }

    fn target(&self) -> String {
        format!("{}/platform/team", self.registry.address())
    }

    /// Pushes, and returns what is printed.
    fn push(&self, more: &[&str]) -> String {
        let mut push = self.dist.push(&self.login, &self.target()).unwrap();
        script::run(push.args(more)).unwrap()
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.dist.file(name)).unwrap()
    }
}

/// Images of a file for two architectures: nobody runs them.
fn small() -> Dist {
    let folder = tempfile::tempdir().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml");
    let image = |name: &str| -> PathBuf {
        let tar = folder.path().join(format!("{name}.tar"));
        let mut make = Command::new(tools::of_project("release/tools/oci").unwrap());
        make.args(["-name", &format!("localhost/{name}:test"), "-entrypoint", "/program", "-out"]);
        make.arg(&tar);
        for architecture in ["amd64", "arm64"] {
            make.arg(format!("{architecture}={}:/{name}/{architecture}", file.display()));
        }
        script::run(&mut make).unwrap();
        tar
    };
    Dist::of(&image("grape"), &image("operator")).unwrap()
}

/// What kustomize prints.
fn kustomize(folder: &Path, arguments: &[&str]) -> String {
    let mut kustomize = Command::new(tools::of_tests("kustomize").unwrap());
    script::run(kustomize.args(arguments).current_dir(folder)).unwrap()
}

/// A copy of the base that a push wrote, in a folder of its own.
fn base(scene: &Scene) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    script::run(Command::new("cp").arg("-r").arg(scene.dist.file("kustomize")).arg(&base)).unwrap();
    (folder, base)
}
