//! Our operator on two nodes, installed by helm from the chart: a cluster of its own, which all
//! tests of a process share.

use std::ffi::OsStr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::api::Api;
use tokio::sync::{Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::{Cluster, access, helm, images};

/// The name of the release, and of all that is called as it.
pub const RELEASE: &str = "grape-operator";
/// Its namespace, whose pods must keep the `restricted` Pod Security Standard.
pub const NAMESPACE: &str = "grape-system";

/// The name of the cluster of nodes.
pub const CLUSTER: &str = "operator";

/// The tests that use it: many that leave it as it is, or one that does not.
static TURN: RwLock<()> = RwLock::const_new(());
/// One at a time finds out whether it is installed.
static INSTALLING: Mutex<()> = Mutex::const_new(());
/// Whether it is installed as these tests want it.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Which image that is: one of the same name may have been in the nodes before.
static DIGEST: OnceLock<String> = OnceLock::new();

/// The operator, for as long as a test has it.
pub struct Operator {
    cluster: Cluster,
    _turn: Turn,
}

/// Held, and never read.
#[expect(dead_code, reason = "a turn lasts for as long as it is held")]
enum Turn {
    Shared(RwLockReadGuard<'static, ()>),
    Own(RwLockWriteGuard<'static, ()>),
}

impl Operator {
    /// For a test that leaves the operator and the nodes as they are. Others run beside it.
    ///
    /// # Errors
    /// When the cluster does not come up, or the chart cannot be installed.
    pub async fn shared() -> Result<Self> {
        Self::ready(Turn::Shared(TURN.read().await)).await
    }

    /// For a test that changes the operator or the nodes; no other test uses them meanwhile. A test
    /// that fails may leave anything behind, so the next one installs the operator again.
    ///
    /// # Errors
    /// As with [`Operator::shared`].
    pub async fn alone() -> Result<Self> {
        let turn = Turn::Own(TURN.write().await);
        Self::ready(turn).await
    }

    async fn ready(turn: Turn) -> Result<Self> {
        let _installing = INSTALLING.lock().await;
        let cluster = Cluster::of_process(CLUSTER).await?;
        let operator = Self { cluster, _turn: turn };
        if !INSTALLED.load(Ordering::SeqCst) {
            for image in ["grape", "peers"] {
                images::load(&operator.cluster, image)?;
            }
            if let Some(image) = images::load(&operator.cluster, "operator")? {
                DIGEST.get_or_init(|| image.digest);
            }
            operator.reinstall()?;
            INSTALLED.store(true, Ordering::SeqCst);
        }
        Ok(operator)
    }

    /// Makes its namespace where there is none, and installs it as these tests want it.
    ///
    /// # Errors
    /// When kubectl or helm fails.
    pub fn reinstall(&self) -> Result<()> {
        self.make_namespace()?;
        self.install(&[]).with_context(|| self.shown())
    }

    fn make_namespace(&self) -> Result<()> {
        let enforce = "pod-security.kubernetes.io/enforce=restricted";
        let there = self.kubectl(["get", "namespace", NAMESPACE, "--ignore-not-found"])?;
        if there.is_empty() {
            self.kubectl(["create", "namespace", NAMESPACE])?;
        }
        self.kubectl(["label", "--overwrite", "namespace", NAMESPACE, enforce])?;
        Ok(())
    }

    /// Installs or upgrades the release, and waits until its pods are ready. It looks at Grapes
    /// every two seconds; `more` are further flags, as in `--set=replicas=1`.
    ///
    /// # Errors
    /// When helm fails.
    pub fn install(&self, more: &[&str]) -> Result<()> {
        let image = |of: &str, name: &str| {
            [format!("--set={of}.repository=localhost/{name}"), format!("--set={of}.tag=test")]
        };
        let chart = helm::chart()?.display().to_string();
        let mut flags = vec!["--install", "--reset-values", "--wait", "--timeout=2m"];
        flags.extend(["--set=observeInterval=2s", "--namespace", NAMESPACE]);
        let images = [image("image", "operator"), image("grapeImage", "grape")].concat();
        flags.extend(images.iter().map(String::as_str));
        let digest = DIGEST.get().map(|it| format!("--set-string=podAnnotations.image={it}"));
        flags.extend(digest.as_deref());
        flags.extend(more);
        self.helm(["upgrade", RELEASE, &chart].into_iter().chain(flags))?;
        Ok(())
    }

    /// The cluster.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// What helm prints.
    ///
    /// # Errors
    /// When it fails; why has been shown.
    pub fn helm<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String> {
        helm::run(self.cluster.kubeconfig(), arguments)
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// When it fails; why has been shown.
    pub fn kubectl<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        self.cluster.kubectl(arguments)
    }

    /// As [`leader`].
    ///
    /// # Errors
    /// As that.
    pub async fn leader(&self) -> Result<Option<String>> {
        leader(&self.cluster.client()).await
    }

    /// The operator's state, for the message of a failure.
    pub fn shown(&self) -> String {
        let selector = format!("app.kubernetes.io/name={RELEASE}");
        let asked: [&[&str]; 4] = [
            // A node that takes no pods says why.
            &[
                "get",
                "nodes",
                "--output=custom-columns=NODE:.metadata.name,TAINTS:.spec.taints[*].key",
            ],
            &["get", "pods", "--output=wide", "--namespace", NAMESPACE],
            &["get", "events", "--sort-by=.lastTimestamp", "--namespace", NAMESPACE],
            &["logs", "--prefix", "--tail=40", "--namespace", NAMESPACE, "--selector", &selector],
        ];
        let said = |asked| self.kubectl(asked).unwrap_or_else(|error| format!("{error:#}"));
        asked.map(|asked: &[&str]| said(asked.iter())).join("\n")
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        if std::thread::panicking() && matches!(self._turn, Turn::Own(_)) {
            INSTALLED.store(false, Ordering::SeqCst);
        }
    }
}

/// The pod that leads, as the Lease has it; none when it was given up.
///
/// # Errors
/// When there is no Lease.
pub async fn leader(client: &Client) -> Result<Option<String>> {
    let leases: Api<Lease> = Api::namespaced(client.clone(), NAMESPACE);
    let lease = leases.get(RELEASE).await.context("the Lease")?;
    let holder = lease.spec.and_then(|spec| spec.holder_identity);
    Ok(holder.filter(|holder| !holder.is_empty()))
}

/// Whether the cluster is the user's own, so that its nodes and processes cannot be reached; prints
/// so.
///
/// # Errors
/// As [`access::existing`].
pub fn is_somebody_elses() -> Result<bool> {
    let theirs = access::existing()?.is_some();
    if theirs {
        eprintln!("NOT TESTED: it takes nodes of ours, and USE_EXISTING_CLUSTER is set.");
    }
    Ok(theirs)
}
