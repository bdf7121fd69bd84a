//! Images of the project's binaries, built by `tests/kubernetes/image`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};

use super::{Cluster, script};

/// An image as an OCI tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The tar.
    pub tar: PathBuf,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
}

/// Builds an image that the script knows, as far as it has changed.
///
/// # Errors
/// When it cannot be built.
pub fn build(name: &str) -> Result<Image> {
    parse(&script::run(Command::new(script::path("image")).arg(name))?)
}

/// Builds it and puts it into a cluster's nodes, where it is called `localhost/NAME:test`. Without
/// effect on a cluster that somebody else runs, and then there is none to return: its images are
/// there, or they are not.
///
/// # Errors
/// When it cannot be built, or a node does not take it.
pub fn load(cluster: &Cluster, name: &str) -> Result<Option<Image>> {
    if super::access::existing()?.is_some() {
        eprintln!("The image localhost/{name}:test has to be in the nodes of your cluster.");
        return Ok(None);
    }
    let image = build(name)?;
    cluster.load_image(&image.tar)?;
    Ok(Some(image))
}

/// Gives an image that is in a cluster's nodes another name. As with [`load`] a cluster that somebody
/// else runs has it, or it has not.
///
/// # Errors
/// When a node has no such image.
pub fn name_again(cluster: &Cluster, name: &str, another: &str) -> Result<()> {
    if super::access::existing()?.is_some() {
        eprintln!(
            "The image {another} has to be in the nodes of your cluster: the same as {name}."
        );
        return Ok(());
    }
    cluster.tag_image(name, another)
}

/// Reads the line that the script prints: path, digest, size.
///
/// # Errors
/// When it is another.
pub fn parse(line: &str) -> Result<Image> {
    let mut words = line.split_whitespace();
    let tar = words.next().map(PathBuf::from).context("no path")?;
    let digest = words.next().map(str::to_owned).context("no digest")?;
    Ok(Image { tar, digest })
}
