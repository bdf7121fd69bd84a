//! A certificate that another program keeps, such as cert-manager, in a folder where its Secret is
//! mounted. The folder is read at intervals, because file systems do not all report how kubelet
//! replaces the files.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::sleep;
use tracing::{info, warn};

use super::cert_resolver::CertResolver;

/// How often the folder is read. Kubelet writes a changed Secret within a minute or two.
const READ_INTERVAL: Duration = Duration::from_secs(5);

/// Serves `tls.crt` and `tls.key` of a folder, for as long as the process runs.
pub async fn follow(folder: PathBuf, resolver: CertResolver) {
    let mut failing = false;
    loop {
        let read = read(&folder, &resolver);
        match &read {
            Ok(true) => info!(folder = %folder.display(), "serving another certificate"),
            Ok(false) => {}
            Err(error) if !failing => {
                let error = format!("{error:#}");
                warn!(folder = %folder.display(), error, "cannot read a certificate; trying again");
            }
            Err(_) => {}
        }
        failing = read.is_err();
        sleep(READ_INTERVAL).await;
    }
}

fn read(folder: &Path, resolver: &CertResolver) -> anyhow::Result<bool> {
    let file = |name: &str| {
        let path = folder.join(name);
        std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    Ok(resolver.serve(&file("tls.crt")?, &file("tls.key")?)?)
}
