//! Clients, and clusters that somebody else runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

/// The kubeconfig of the cluster to use instead of one of our own: `USE_EXISTING_CLUSTER=true`,
/// with `KUBECONFIG`.
///
/// # Errors
/// When it is to be used, and `KUBECONFIG` does not name it.
pub fn existing() -> Result<Option<PathBuf>> {
    if std::env::var("USE_EXISTING_CLUSTER").ok().as_deref() != Some("true") {
        return Ok(None);
    }
    let kubeconfig = std::env::var_os("KUBECONFIG")
        .context("USE_EXISTING_CLUSTER is true, but KUBECONFIG does not tell which cluster")?;
    Ok(Some(PathBuf::from(kubeconfig)))
}

/// A client from a kubeconfig. As every client of kube, it retries after 429, 503 and 504.
///
/// # Errors
/// When the file makes none.
pub async fn client(kubeconfig: &Path) -> Result<Client> {
    Ok(Client::try_from(config(kubeconfig).await?)?)
}

/// A client that tries nothing again.
///
/// # Errors
/// As with [`client`].
pub async fn client_without_retry(kubeconfig: &Path) -> Result<Client> {
    let mut config = config(kubeconfig).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}

async fn config(kubeconfig: &Path) -> Result<Config> {
    let read = Kubeconfig::read_from(kubeconfig)
        .with_context(|| format!("cannot read {}", kubeconfig.display()))?;
    Ok(Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?)
}
