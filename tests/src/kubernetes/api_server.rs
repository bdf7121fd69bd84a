//! etcd and the API server alone, for one test: no nodes, no controllers unless asked for, no
//! root.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use kube::Client;
use tempfile::TempDir;

use super::controllers::Controllers;
use super::{Kubectl, access, definition, guarded, script, tools};
use crate::ports::Port;
use crate::process::Process;

/// An API server that ends with its test. Objects are stored, defaulted and validated as ever; no
/// controller acts on them but those of [`ApiServer::with_controllers`], and no pod runs.
pub struct ApiServer {
    kubeconfig: PathBuf,
    client: Client,
    own: Option<Own>,
}

/// What of it is ours. The controllers end before the server, that before the store, and that
/// before its folder goes.
#[derive(Debug)]
struct Own {
    controllers: Option<Controllers>,
    _server: Process,
    _etcd: Process,
    folder: TempDir,
    _ports: [Port; 3],
}

impl ApiServer {
    /// Starts one, and waits until it is ready. With `USE_EXISTING_CLUSTER=true` it is the one
    /// that `KUBECONFIG` names.
    ///
    /// # Errors
    /// When it does not start, with the end of what it logged.
    pub async fn start() -> Result<Self> {
        if let Some(kubeconfig) = access::existing()? {
            let client = access::client(&kubeconfig).await?;
            return Ok(Self { kubeconfig, client, own: None });
        }
        let folder = tempfile::Builder::new().prefix("grape-api-server-").tempdir()?;
        let ports = [Port::take()?, Port::take()?, Port::take()?];
        let [store, peers, secure] = ports.each_ref().map(Port::number);
        let pki = folder.path().join("pki");
        let mut certificates = Command::new(script::path("certificates"));
        certificates.arg(&pki).arg(format!("https://127.0.0.1:{secure}"));
        certificates.args(["apiserver", "/CN=kube-apiserver", "IP:127.0.0.1,DNS:localhost"]);
        certificates.args(["admin", "/O=system:masters/CN=admin", ""]);
        script::run(&mut certificates)?;

        let kube_apiserver = tools::binary("kube-apiserver")?;
        let etcd = start_etcd(folder.path(), store, peers)?;
        let arguments = server_arguments(&pki, store, secure);
        let mut server = guarded::start("kube-apiserver", &kube_apiserver, &arguments)?;
        let kubeconfig = pki.join("admin.kubeconfig");
        let client = access::client(&kubeconfig).await?;
        let ready = guarded::ready(&mut server, async || {
            let request = http::Request::get("/readyz").body(Vec::new())?;
            client.request_text(request).await?;
            Ok(())
        });
        ready.await.map_err(|error| error.context(etcd.shown()))?;
        let own = Own { controllers: None, _server: server, _etcd: etcd, folder, _ports: ports };
        Ok(Self { kubeconfig, client, own: Some(own) })
    }

    /// Starts one that serves GrapeClusters.
    ///
    /// # Errors
    /// When it does not start, or does not take the definition.
    pub async fn start_with_definition() -> Result<Self> {
        let server = Self::start().await?;
        definition::install(&server.client()).await?;
        Ok(server)
    }

    /// Runs some of Kubernetes' own controllers beside it, such as `garbage-collector-controller`
    /// and `statefulset-controller`, and no others. The cluster of `USE_EXISTING_CLUSTER` has them.
    ///
    /// The garbage collector looks for new kinds of objects every 30 seconds:
    /// [install](super::definition::install) definitions before.
    ///
    /// # Errors
    /// When they do not start, with the end of what they logged.
    pub async fn with_controllers(mut self, names: &[&str]) -> Result<Self> {
        if let Some(own) = &mut self.own {
            // Those that run end first.
            own.controllers = None;
            let started = Controllers::start(names, &self.kubeconfig, own.folder.path()).await?;
            own.controllers = Some(started);
        }
        Ok(self)
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of that client.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A kubectl that talks to it.
    ///
    /// # Errors
    /// When there is none.
    pub fn kubectl(&self) -> Result<Kubectl> {
        match self.own {
            Some(_) => Kubectl::ours(&self.kubeconfig),
            None => Ok(Kubectl::theirs(&self.kubeconfig)),
        }
    }
}

fn start_etcd(folder: &Path, store: u16, peers: u16) -> Result<Process> {
    let client = format!("http://127.0.0.1:{store}");
    let peer = format!("http://127.0.0.1:{peers}");
    let arguments = [
        format!("--data-dir={}", folder.join("etcd").display()),
        // Nothing of it is to outlive anything.
        "--unsafe-no-fsync".to_owned(),
        format!("--listen-client-urls={client}"),
        format!("--advertise-client-urls={client}"),
        format!("--listen-peer-urls={peer}"),
        format!("--initial-advertise-peer-urls={peer}"),
        format!("--initial-cluster=default={peer}"),
        "--log-level=warn".to_owned(),
    ];
    guarded::start("etcd", &tools::binary("etcd")?, &arguments)
}

fn server_arguments(pki: &Path, store: u16, secure: u16) -> Vec<String> {
    let file = |name: &str| pki.join(name).display().to_string();
    vec![
        format!("--etcd-servers=http://127.0.0.1:{store}"),
        "--bind-address=127.0.0.1".to_owned(),
        format!("--secure-port={secure}"),
        format!("--tls-cert-file={}", file("apiserver.crt")),
        format!("--tls-private-key-file={}", file("apiserver.key")),
        format!("--client-ca-file={}", file("ca.crt")),
        "--authorization-mode=RBAC".to_owned(),
        // No controller makes the default account of a namespace, without which this plugin refuses
        // pods.
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        "--allow-privileged=true".to_owned(),
        // What changes objects as a webhook does, without one: not on by itself before 1.36.
        "--feature-gates=MutatingAdmissionPolicy=true".to_owned(),
        "--runtime-config=admissionregistration.k8s.io/v1beta1=true".to_owned(),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        format!("--service-account-key-file={}", file("sa.pub")),
        format!("--service-account-signing-key-file={}", file("sa.key")),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
    ]
}
