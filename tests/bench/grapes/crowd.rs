//! One name with many peers. They are announced by KRPC, since by HTTP a Grape announces for its own
//! host alone: peers that differ in their ports are different peers.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use grape_engine::krpc::{Body, Message, Method, Query, Response, Want, decode, encode};
use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use grape_tests::results::{Goal, Row};
use mainline::Id;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use crate::load::{self, Case, Server};
use crate::plan::Plan;

/// As many as one lookup returns: what the crowd's rate is compared with.
const HUNDRED: u16 = 100;
/// Five digits each, as `load.lua` expects.
const FIRST_PORT: u16 = 10_000;
/// On loopback, and one question at a time.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// Lookups of such a name, beside one with a hundred peers: their rate, and which peers they
/// return.
///
/// # Errors
/// When a lookup does not return a hundred different peers.
pub async fn measure(plan: Plan) -> Result<[Row; 2]> {
    let mut network = Network::start(Shape::Mesh, &[Kind::Ours; 3]).await?;
    let peer = Announcer::new().await?;
    for grape in &network.grapes {
        peer.announce(grape, "hundred", HUNDRED).await?;
        peer.announce(grape, "crowd", plan.crowd).await?;
    }
    let spread = spread(&network.grapes[0], plan).await?;
    let grape = &mut network.grapes[0];
    // The other name is looked up here, as the crowd's was.
    ensure!(grape.lookup("hundred").await?.len() == usize::from(HUNDRED), "peers are missing");
    let server = Server::of("ours", grape.api(), grape.process())?;
    let asked = ["hundred", "crowd"].map(|name| (server, Case { name, connections: 64 }));
    let [hundred, crowd] = load::medians(asked, plan).await?;
    Ok([
        Row::alone(
            format!("one name with {} peers: lookups, as a share of one with 100", plan.crowd),
            crowd.rate / hundred.rate * 100.0,
            "%",
            Goal::AtLeast(90.0),
        ),
        Row::alone(
            "… how evenly its peers are returned: chi-square / degrees of freedom".to_owned(),
            spread,
            "",
            // Of 9,999 degrees, an even choice is beyond that once in a thousand runs.
            Goal::AtMost(1.044),
        ),
    ])
}

/// Chi-square of how often each peer was returned, by its degrees of freedom: 1 if evenly.
async fn spread(grape: &Grape, plan: Plan) -> Result<f64> {
    let mut seen: HashMap<String, f64> = HashMap::new();
    for _ in 0..plan.draws {
        let peers = grape.lookup("crowd").await?;
        ensure!(peers.len() == usize::from(HUNDRED), "a lookup returned {} peers", peers.len());
        for peer in peers {
            *seen.entry(peer).or_default() += 1.0;
        }
    }
    let crowd = f64::from(plan.crowd);
    let expected = plan.draws as f64 * f64::from(HUNDRED) / crowd;
    let never = crowd - seen.len() as f64;
    let sum: f64 = seen.values().map(|count| (count - expected).powi(2) / expected).sum();
    Ok((sum + never * expected) / (crowd - 1.0))
}

/// A node that only announces.
struct Announcer {
    socket: UdpSocket,
}

impl Announcer {
    async fn new() -> Result<Self> {
        Ok(Self { socket: UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await? })
    }

    /// Announces so many peers of a name at one Grape.
    async fn announce(&self, grape: &Grape, name: &str, count: u16) -> Result<()> {
        let to = SocketAddr::from((Ipv4Addr::LOCALHOST, grape.dht_port()));
        let info_hash = Cow::Borrowed(name.as_bytes());
        let told = self.ask(to, Method::GetPeers { info_hash: info_hash.clone() }).await?;
        let token = Cow::Owned(told.token.context("no token")?.into_owned());
        for port in FIRST_PORT..FIRST_PORT + count {
            let announce = Method::AnnouncePeer {
                info_hash: info_hash.clone(),
                port: Some(port),
                token: Cow::clone(&token),
                ttl: None,
                ip: None,
                alt: false,
            };
            self.ask(to, announce).await?;
        }
        Ok(())
    }

    async fn ask(&self, to: SocketAddr, method: Method<'_>) -> Result<Response<'static>> {
        let query = Query {
            sender: Some(Id::from([7; 20])),
            read_only: true,
            want: Want::default(),
            method,
        };
        let question = Message {
            transaction_id: Cow::Borrowed(b"bench"),
            version: None,
            network: None,
            body: Body::Query(query),
        };
        self.socket.send_to(&encode(&question)?, to).await?;
        let mut buffer = [0; 2048];
        let length =
            timeout(ANSWER_TIMEOUT, self.socket.recv(&mut buffer)).await.context("no answer")??;
        match decode(&buffer[..length])?.body {
            Body::Response(response) => Ok(Response {
                token: response.token.map(|token| Cow::Owned(token.into_owned())),
                ..Response::new(response.id)
            }),
            other => bail!("{to} answered {other:?}"),
        }
    }
}
