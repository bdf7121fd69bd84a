//! How our operator is started: the real command `grape-operator run`, against the API server of a
//! kubeconfig.
//!
//! ```no_run
//! # async fn example() -> anyhow::Result<()> {
//! use grape_tests::kubernetes::ApiServer;
//! use grape_tests::our_operator::Operator;
//!
//! let server = ApiServer::start().await?;
//! let mut operator = Operator::start(server.kubeconfig(), "one", &["--concurrency=4"]).await?;
//! operator.until_leads().await?;
//! assert_eq!(operator.metric("grape_operator_queue_depth").await?, Some(0.0));
//! operator.signal("TERM").await?;
//! assert_eq!(operator.ended().await?.code(), Some(0));
//! # Ok(())
//! # }
//! ```

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use tokio::process::Command;

use crate::http::{self, Reply, Request};
use crate::ports::Port;
use crate::process::Process;
use crate::{binaries, wait};

/// A running operator. Dropping it kills it; the end of its log is shown when its test fails.
#[derive(Debug)]
pub struct Operator {
    process: Process,
    admin: Port,
}

impl Operator {
    /// Starts one, and waits until `/healthz` answers: it may not have reached the API server by
    /// then. `identity` is its name in the Lease, and in messages. It gets a free port for its
    /// pages, no webhook unless a flag says where, and nothing of this process' environment that
    /// could be taken for a flag.
    ///
    /// # Errors
    /// When it ends at once, or does not answer, with the end of its log.
    pub async fn start(kubeconfig: &Path, identity: &str, flags: &[&str]) -> Result<Self> {
        Self::start_as(&binary()?, kubeconfig, identity, flags).await
    }

    /// The same, of another binary.
    ///
    /// # Errors
    /// As with [`Operator::start`].
    pub async fn start_as(
        binary: &Path,
        kubeconfig: &Path,
        identity: &str,
        flags: &[&str],
    ) -> Result<Self> {
        let admin = Port::take()?;
        let mut command = command(binary, Some(kubeconfig));
        command.arg(format!("--identity={identity}"));
        command.arg(format!("--admin-bind=127.0.0.1:{}", admin.number())).args(flags);
        if !flags.iter().any(|flag| flag.starts_with("--webhook-bind")) {
            command.arg("--webhook-bind=");
        }
        let process = Process::start(format!("operator {identity}"), &mut command)?;
        let mut operator = Self { process, admin };
        let healthy = wait::until("/healthz answers", async || {
            if let Some(ended) = operator.process.has_ended()? {
                // Not worth the deadline: it will never answer.
                return Ok(Err(ended));
            }
            let reply = operator.page("/healthz").await?;
            ensure!(reply.status == 200, "{reply:?}");
            anyhow::Ok(Ok(()))
        });
        match healthy.await {
            Ok(Ok(())) => Ok(operator),
            Ok(Err(ended)) => bail!("it ended: {ended}\n{}", operator.process.shown()),
            Err(error) => Err(error.context(operator.process.shown())),
        }
    }

    /// Where its pages are.
    pub fn admin(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.admin.number()).into()
    }

    /// The same as `http://IP:PORT`.
    pub fn admin_url(&self) -> String {
        format!("http://{}", self.admin())
    }

    /// One of its pages.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn page(&self, path: &str) -> Result<Reply> {
        http::send(self.admin(), &Request::get(path)).await
    }

    /// The value of one series at `/metrics`, named as it is there, labels and all. `None` when
    /// there is no such series.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn metric(&self, series: &str) -> Result<Option<f64>> {
        let page = self.page("/metrics").await?;
        ensure!(page.status == 200, "{page:?}");
        let shown = |line: &str| line.strip_prefix(series)?.strip_prefix(' ').map(str::to_owned);
        let value = page.body.lines().find_map(shown);
        value.map(|value| value.parse().with_context(|| format!("{series} {value}"))).transpose()
    }

    /// Waits until it has reached the API server.
    ///
    /// # Errors
    /// When a minute passes before.
    pub async fn until_ready(&self) -> Result<()> {
        let ready = wait::until("/readyz says yes", async || {
            let reply = self.page("/readyz").await?;
            ensure!(reply.status == 200, "{reply:?}");
            anyhow::Ok(())
        });
        ready.await.with_context(|| self.process.shown())
    }

    /// Whether it says that it leads.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn leads(&self) -> Result<bool> {
        Ok(self.metric("grape_operator_leader").await? == Some(1.0))
    }

    /// Waits until it leads.
    ///
    /// # Errors
    /// When a minute passes before.
    pub async fn until_leads(&self) -> Result<()> {
        let leads = wait::until("it leads", async || {
            ensure!(self.leads().await?, "another leads");
            anyhow::Ok(())
        });
        leads.await.with_context(|| self.process.shown())
    }

    /// What it logged so far, line by line; a line that is no JSON as a text.
    pub fn log(&self) -> Vec<Value> {
        let parse = |line: String| serde_json::from_str(&line).unwrap_or(Value::String(line));
        self.process.errors().into_iter().map(parse).collect()
    }

    /// Waits until it has logged a line with this message, and gives it.
    ///
    /// # Errors
    /// When a minute passes before.
    pub async fn until_logs(&self, message: &str) -> Result<Value> {
        let what = format!("it logs {message:?}");
        let logged = wait::until(&what, async || {
            let line = self.log().into_iter().find(|line| line["message"] == message);
            line.context("not yet")
        });
        logged.await.with_context(|| self.process.shown())
    }

    /// Sends it a signal, such as `TERM` or `STOP`.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn signal(&self, signal: &str) -> Result<()> {
        self.process.signal(signal).await
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    ///
    /// # Errors
    /// When the system refuses.
    pub async fn kill(&mut self) -> Result<()> {
        self.process.kill().await
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When a minute passes before.
    pub async fn ended(&mut self) -> Result<ExitStatus> {
        self.process.ended().await
    }
}

/// Runs an operator that is to end by itself: its exit code, and what it says on standard error.
///
/// # Errors
/// When it does not end.
pub async fn refused(kubeconfig: Option<&Path>, flags: &[&str]) -> Result<(Option<i32>, String)> {
    let output = command(&binary()?, kubeconfig).args(flags).kill_on_drop(true).output();
    let output = tokio::time::timeout(wait::DEADLINE, output).await.context("it runs")??;
    Ok((output.status.code(), String::from_utf8(output.stderr)?))
}

/// `grape-operator run` in an environment where nothing is set that it reads, but a kubeconfig.
fn command(binary: &Path, kubeconfig: Option<&Path>) -> Command {
    let mut command = Command::new(binary);
    command.arg("run").env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if let Some(kubeconfig) = kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    }
    command
}

fn binary() -> Result<PathBuf> {
    binaries::find("grape-operator", "GRAPE_OPERATOR_BIN")
}
