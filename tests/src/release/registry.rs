//! A registry with a password: of the tests' cluster, or on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::tools;
use crate::kubernetes::{cluster, script};
use crate::ports::Port;
use crate::process::Process;
use crate::wait;

/// The user of a registry on loopback, with the password `vineyard`: its hash is bcrypt's.
const PASSWORDS: &str = "grape:$2a$05$WeQR76mSxbiWq0idLjh4KerwCcUK4wmJe7HEE8UNR4V11aiJB0ih2\n";

/// A registry that wants a password.
#[derive(Debug)]
pub struct Registry {
    address: String,
    username: String,
    password: String,
    // Who signed its certificate; none where it speaks plain HTTP.
    authority: Option<PathBuf>,
    _own: Option<(Process, Port, TempDir)>,
}

impl Registry {
    /// The registry of a tests' cluster, from which its nodes pull. It ends with the cluster.
    ///
    /// # Errors
    /// When the cluster is not up.
    pub fn of_cluster(name: &str) -> Result<Self> {
        let said = script::run(cluster::command(name).arg("registry"))?;
        // As people do: a shell evaluates what is printed.
        let shown = r#"eval "$0"; printf '%s\n' "$REGISTRY" "$REGISTRY_USERNAME" "$REGISTRY_PASSWORD" "$SSL_CERT_FILE""#;
        let shown = script::run(Command::new("bash").args(["-euc", shown, &said]))?;
        let lines: Vec<&str> = shown.lines().collect();
        let [address, username, password, authority] = lines[..] else { bail!("{said}") };
        Ok(Self {
            address: address.to_owned(),
            username: username.to_owned(),
            password: password.to_owned(),
            authority: Some(PathBuf::from(authority)),
            _own: None,
        })
    }

    /// A registry that speaks plain HTTP at 127.0.0.1, and ends with the test.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn on_loopback() -> Result<Self> {
        let port = Port::take()?;
        let address = format!("127.0.0.1:{}", port.number());
        let folder = tempfile::tempdir()?;
        let file = |name: &str| folder.path().join(name);
        fs::write(file("passwords"), PASSWORDS)?;
        let configuration = serde_json::json!({
            "version": "0.1",
            // Nobody reads its output while a test waits for a command.
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": file("content")}},
            "http": {"addr": address},
            "auth": {"htpasswd": {"realm": "grape", "path": file("passwords")}},
        });
        fs::write(file("configuration.yaml"), serde_yaml::to_string(&configuration)?)?;
        let mut serve = tokio::process::Command::new(tools::of_tests("registry")?);
        serve.arg("serve").arg(file("configuration.yaml"));
        let process = Process::start("the registry", &mut serve)?;
        wait::until("the registry takes connections", async || TcpStream::connect(&address).await)
            .await?;
        Ok(Self {
            address,
            username: "grape".to_owned(),
            password: "vineyard".to_owned(),
            authority: None,
            _own: Some((process, port, folder)),
        })
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// A `kubectl create` of a Secret with which nodes pull from it.
    pub fn secret(&self, name: &str, namespace: &str) -> Vec<String> {
        let Self { address, username, password, .. } = self;
        [
            "create".to_owned(),
            "secret".to_owned(),
            "docker-registry".to_owned(),
            name.to_owned(),
            format!("--namespace={namespace}"),
            format!("--docker-server={address}"),
            format!("--docker-username={username}"),
            format!("--docker-password={password}"),
        ]
        .into()
    }
}

/// Who a user is for registries, apart from the user who runs the tests: first nobody.
#[derive(Debug)]
pub struct Login {
    folder: TempDir,
    authority: Option<PathBuf>,
}

impl Login {
    /// Nobody, who trusts the certificate of a registry.
    ///
    /// # Errors
    /// When no folder can be made.
    pub fn none(registry: &Registry) -> Result<Self> {
        Ok(Self { folder: tempfile::tempdir()?, authority: registry.authority.clone() })
    }

    /// Logs in, as people do: `helm registry login`.
    ///
    /// # Errors
    /// When the registry refuses.
    pub fn by_helm(&self, registry: &Registry) -> Result<()> {
        let mut login = self.command(&tools::of_release("helm")?);
        login.args(["registry", "login", &registry.address, "--username", &registry.username]);
        login.args(["--password", &registry.password]);
        if registry.authority.is_none() {
            login.arg("--plain-http");
        }
        script::run(&mut login)?;
        Ok(())
    }

    /// Logs in as `docker login` does: into Docker's configuration.
    ///
    /// # Errors
    /// When crane fails.
    pub fn by_docker(&self, registry: &Registry) -> Result<()> {
        let mut login = self.command(&tools::of_release("crane")?);
        login.args(["auth", "login", &registry.address, "--username", &registry.username]);
        script::run(login.args(["--password", &registry.password]))?;
        Ok(())
    }

    /// A command with this login.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env("DOCKER_CONFIG", self.folder.path());
        command.env("HELM_REGISTRY_CONFIG", self.folder.path().join("helm.json"));
        command.env_remove("REGISTRY_AUTH_FILE").env_remove("SSL_CERT_FILE");
        if let Some(authority) = &self.authority {
            command.env("SSL_CERT_FILE", authority);
        }
        command
    }
}

/// What a command says on its standard error when it fails.
///
/// # Errors
/// When it does not fail.
pub fn refused(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().context("cannot start it")?;
    let printed = String::from_utf8_lossy(&output.stdout);
    ensure!(!output.status.success(), "{command:?} was to fail, and printed {printed}");
    Ok(String::from_utf8(output.stderr)?)
}
