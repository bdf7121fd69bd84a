//! Kubernetes' own controllers: those that a test names.

use std::path::Path;

use anyhow::Result;
use tokio::net::TcpStream;

use super::{guarded, tools};
use crate::ports::Port;
use crate::process::Process;

/// A kube-controller-manager. Dropping it ends it.
#[derive(Debug)]
pub(super) struct Controllers {
    _process: Process,
    _port: Port,
}

impl Controllers {
    /// Starts the named controllers, and waits until they are at work. Files of theirs go to
    /// `folder`.
    ///
    /// # Errors
    /// When they do not start, such as for a name that is none.
    pub(super) async fn start(names: &[&str], kubeconfig: &Path, folder: &Path) -> Result<Self> {
        let port = Port::take()?;
        let arguments = [
            format!("--kubeconfig={}", kubeconfig.display()),
            format!("--controllers={}", names.join(",")),
            "--leader-elect=false".to_owned(),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--secure-port={}", port.number()),
            format!("--cert-dir={}", folder.join("controllers").display()),
        ];
        let program = tools::binary("kube-controller-manager")?;
        let mut process = guarded::start("kube-controller-manager", &program, &arguments)?;
        guarded::ready(&mut process, async || {
            TcpStream::connect(("127.0.0.1", port.number())).await?;
            Ok(())
        })
        .await?;
        Ok(Self { _process: process, _port: port })
    }
}
