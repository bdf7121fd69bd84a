//! A service's client of the API: one connection that is kept, as Grenache's clients keep theirs.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::http::{Connection, Reply, Request};

/// How long a service waits for an answer.
pub const TIME_OUT: Duration = Duration::from_secs(5);

/// A client, which connects when it is used.
#[derive(Debug)]
pub struct Client {
    api: SocketAddr,
    connection: Option<Connection>,
}

impl Client {
    /// A client of the API there.
    pub fn new(api: SocketAddr) -> Self {
        Self { api, connection: None }
    }

    /// Sends a request. A connection that the Grape has closed meanwhile is replaced once.
    ///
    /// # Errors
    /// When there is no answer within [`TIME_OUT`].
    pub async fn send(&mut self, request: &Request) -> Result<Reply> {
        let what = || format!("{} {}", request.method, request.path);
        timeout(TIME_OUT, self.try_twice(request))
            .await
            .with_context(|| format!("{}: no answer in {TIME_OUT:?}", what()))?
            .with_context(what)
    }

    async fn try_twice(&mut self, request: &Request) -> Result<Reply> {
        if let Some(mut kept) = self.connection.take()
            && kept.send(&request.bytes()).await.is_ok()
            && let Ok(reply) = kept.reply(false).await
        {
            self.connection = Some(kept);
            return Ok(reply);
        }
        let mut connection = Connection::open(self.api).await?;
        connection.send(&request.bytes()).await?;
        let reply = connection.reply(false).await?;
        self.connection = Some(connection);
        Ok(reply)
    }

    /// Calls a verb, and returns what the Grape answers.
    ///
    /// # Errors
    /// When there is no answer, or it is no JSON.
    pub async fn call(&mut self, verb: &str, data: Value) -> Result<Value> {
        let body = json!({ "rid": "a-request", "data": data }).to_string();
        self.send(&Request::post(&format!("/{verb}"), body)).await?.json()
    }

    /// The peers of a name.
    ///
    /// # Errors
    /// When the answer is no list of them.
    pub async fn lookup(&mut self, name: &str) -> Result<Vec<String>> {
        let found = self.call("lookup", json!(name)).await?;
        serde_json::from_value(found.clone()).with_context(|| format!("lookup answered {found}"))
    }

    /// Announces a service. Answers how many other Grapes hold it.
    ///
    /// # Errors
    /// When the Grape refuses.
    pub async fn announce(&mut self, name: &str, port: u16) -> Result<u64> {
        let held = self.call("announce", json!([name, port])).await?;
        held.as_u64().with_context(|| format!("announce answered {held}"))
    }
}
