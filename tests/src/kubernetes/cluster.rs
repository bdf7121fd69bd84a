//! A control plane and two nodes, driven by `tests/kubernetes/cluster`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use kube::Client;
use tokio::sync::Mutex;

use super::{Kubectl, access, script};

/// The clusters of this process; see [`Cluster::of_process`].
static OF_PROCESS: Mutex<BTreeSet<String>> = Mutex::const_new(BTreeSet::new());

/// Waits until the process that holds its standard input ends, and then runs a command.
const AFTERWARDS: &str = r#"cat >/dev/null; exec "$@""#;

/// A cluster whose pods run: two nodes, `n1` in the zone `zone-1` and `n2` in `zone-2`.
pub struct Cluster {
    // None when somebody else runs it.
    name: Option<String>,
    kubeconfig: PathBuf,
    client: Client,
    // That of a test's own.
    _down: Option<Down>,
}

impl Cluster {
    /// The cluster that all tests share: `GRAPE_CLUSTER`, or else `grape`. It is started if it is
    /// not up, and stays up: `tests/kubernetes/cluster down` ends it. With
    /// `USE_EXISTING_CLUSTER=true` it is the one that `KUBECONFIG` names.
    ///
    /// # Errors
    /// When it does not start, or needs root; the error says what to do.
    pub async fn shared() -> Result<Self> {
        if let Some(kubeconfig) = access::existing()? {
            let client = access::client(&kubeconfig).await?;
            return Ok(Self { name: None, kubeconfig, client, _down: None });
        }
        let name = std::env::var("GRAPE_CLUSTER").unwrap_or_else(|_| "grape".to_owned());
        Self::up(name, false).await
    }

    /// A cluster of a test's own, which ends with it.
    ///
    /// # Errors
    /// As with [`Cluster::shared`].
    pub async fn own(name: &str) -> Result<Self> {
        Self::up(name.to_owned(), true).await
    }

    /// A cluster that the tests of one process share. It ends with the process, however that ends,
    /// unless it was up before. With `USE_EXISTING_CLUSTER=true` it is the one that `KUBECONFIG`
    /// names.
    ///
    /// # Errors
    /// As with [`Cluster::shared`].
    pub async fn of_process(name: &str) -> Result<Self> {
        if let Some(kubeconfig) = access::existing()? {
            let client = access::client(&kubeconfig).await?;
            return Ok(Self { name: None, kubeconfig, client, _down: None });
        }
        let mut known = OF_PROCESS.lock().await;
        if known.contains(name) {
            return Self::reached(name.to_owned(), None).await;
        }
        if !command(name).arg("status").output()?.status.success() {
            end_with_this_process(name)?;
        }
        let cluster = Self::up(name.to_owned(), false).await?;
        known.insert(name.to_owned());
        Ok(cluster)
    }

    async fn up(name: String, ends_with_the_test: bool) -> Result<Self> {
        ensure_root()?;
        // It ends what it started also when it did not come up.
        let down = ends_with_the_test.then(|| Down(name.clone()));
        script::run(command(&name).arg("up"))?;
        Self::reached(name, down).await
    }

    async fn reached(name: String, down: Option<Down>) -> Result<Self> {
        let kubeconfig = PathBuf::from(script::run(command(&name).arg("kubeconfig"))?);
        let client = access::client(&kubeconfig).await?;
        Ok(Self { name: Some(name), kubeconfig, client, _down: down })
    }

    /// A client that may do everything.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of that client.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Puts an image into all nodes.
    ///
    /// # Errors
    /// When a node does not take it, or it is somebody else's cluster.
    pub fn load_image(&self, tar: &Path) -> Result<()> {
        let name = self.name.as_ref().with_context(|| {
            format!("load {} into the nodes of your cluster yourself", tar.display())
        });
        script::run(command(name?).arg("load-image").arg(tar))?;
        Ok(())
    }

    /// Gives an image in all nodes another name.
    ///
    /// # Errors
    /// When a node has no such image, or it is somebody else's cluster.
    pub fn tag_image(&self, name: &str, another: &str) -> Result<()> {
        let Some(own) = &self.name else {
            bail!("name {name} {another} in the nodes of your cluster yourself")
        };
        script::run(command(own).args(["tag-image", name, another]))?;
        Ok(())
    }

    /// Cuts a node off the network: 1 or 2.
    ///
    /// # Errors
    /// When it is somebody else's cluster, or there is no such node.
    pub fn node_down(&self, node: u8) -> Result<()> {
        self.control("node-down", node)
    }

    /// Mends what [`Cluster::node_down`] did.
    ///
    /// # Errors
    /// As with that.
    pub fn node_up(&self, node: u8) -> Result<()> {
        self.control("node-up", node)
    }

    /// Takes away the API server's way to pods, also through Services. It still reaches nodes.
    ///
    /// # Errors
    /// When it is somebody else's cluster.
    pub fn cut_pods_off(&self) -> Result<()> {
        self.run("pods-cut-off", &[])
    }

    /// Mends what [`Cluster::cut_pods_off`] did.
    ///
    /// # Errors
    /// As with that.
    pub fn make_pods_reachable(&self) -> Result<()> {
        self.run("pods-reachable", &[])
    }

    fn control(&self, what: &str, node: u8) -> Result<()> {
        self.run(what, &[node.to_string()])
    }

    fn run(&self, what: &str, arguments: &[String]) -> Result<()> {
        let Some(name) = &self.name else {
            bail!("{what}: the nodes of somebody else's cluster are not ours to cut off")
        };
        script::run(command(name).arg(what).args(arguments))?;
        Ok(())
    }

    /// Its kubectl.
    ///
    /// # Errors
    /// When there is none.
    pub fn its_kubectl(&self) -> Result<Kubectl> {
        match self.name {
            Some(_) => Kubectl::ours(&self.kubeconfig),
            None => Ok(Kubectl::theirs(&self.kubeconfig)),
        }
    }

    /// What kubectl prints.
    ///
    /// # Errors
    /// When it fails.
    pub fn kubectl<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        self.its_kubectl()?.run(arguments)
    }
}

/// Ends a cluster when dropped.
struct Down(String);

impl Drop for Down {
    fn drop(&mut self) {
        if let Err(error) = script::run(command(&self.0).arg("down")) {
            eprintln!("the cluster {} may not be down: {error:#}", self.0);
        }
    }
}

/// Ends a cluster after this process: statics are not dropped at a process' end.
fn end_with_this_process(name: &str) -> Result<()> {
    let mut down = command(name);
    down.arg("down");
    let mut keeper = Command::new("setsid");
    keeper.args(["bash", "-c", AFTERWARDS, "afterwards"]);
    keeper.arg(down.get_program()).args(down.get_args());
    let mut keeper = keeper.stdin(Stdio::piped()).spawn().context("cannot start setsid")?;
    // The system closes it with the process.
    std::mem::forget(keeper.stdin.take());
    Ok(())
}

/// `tests/kubernetes/cluster`, for a cluster's name.
pub fn command(name: &str) -> Command {
    let mut command = Command::new(script::path("cluster"));
    command.args(["--name", name]);
    command
}

fn ensure_root() -> Result<()> {
    let id = script::run(Command::new("id").arg("-u"))?;
    ensure!(
        id == "0",
        "a cluster with nodes needs root: run the tests as root, or leave those with nodes out by \
         `tests/run --no-root`, or use a cluster of yours by USE_EXISTING_CLUSTER=true and KUBECONFIG"
    );
    Ok(())
}
