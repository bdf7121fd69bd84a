//! The folder of a release, as `release/build` writes it and `release/push` reads it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::{Login, built, tools};
use crate::kubernetes::{helm, script};

/// A folder with the two images, the chart, and what else a release has, which goes with the test.
#[derive(Debug)]
pub struct Dist(TempDir);

impl Dist {
    /// The release of these sources. A push writes into its folder: so it is a copy.
    ///
    /// # Errors
    /// When it cannot be built, or copied.
    pub fn built() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let contents = built::dist()?.join(".");
        script::run(Command::new("cp").arg("-r").arg(contents).arg(folder.path()))?;
        Ok(Self(folder))
    }

    /// Makes one of the tars of two images.
    ///
    /// # Errors
    /// When a tar is missing, or Helm cannot package the chart.
    pub fn of(grape: &Path, operator: &Path) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let [images, charts] = ["images", "charts"].map(|part| folder.path().join(part));
        fs::create_dir(&images)?;
        fs::copy(grape, images.join("grape.tar"))?;
        fs::copy(operator, images.join("operator.tar"))?;
        let mut package = Command::new(tools::of_release("helm")?);
        package.arg("package").arg(helm::chart()?).arg("--destination").arg(charts);
        script::run(&mut package)?;
        Ok(Self(folder))
    }

    /// A file of it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// `release/push`, of this folder, to a place.
    ///
    /// # Errors
    /// When these sources have no folder above them.
    pub fn push(&self, login: &Login, target: &str) -> Result<Command> {
        let mut push = login.command(&tools::of_project("release/push")?);
        push.arg(target).arg("--dist").arg(self.0.path());
        Ok(push)
    }

    /// What stands in `values.yaml` after a push.
    ///
    /// # Errors
    /// When there is no such file.
    pub fn values(&self) -> Result<Value> {
        let file = fs::File::open(self.file("values.yaml"))?;
        Ok(serde_yaml::from_reader(file)?)
    }

    /// An image of `values.yaml`, as nodes pull it: `image` or `grapeImage`.
    ///
    /// # Errors
    /// When the file has none.
    pub fn image(&self, field: &str) -> Result<String> {
        let values = self.values()?;
        let part = |name: &str| values[field][name].as_str().with_context(|| values.to_string());
        let digest = part("digest")?;
        ensure!(digest.starts_with("sha256:"), "{values}");
        Ok(format!("{}@{digest}", part("repository")?))
    }
}
