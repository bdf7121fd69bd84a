//! Requests that are costly to answer, introductions, and names that a terminal would obey.

use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use grape_tests::http::{self, Connection, Request};
use grape_tests::lab::{Place, Server, binary};
use serde_json::json;
use tokio::net::UdpSocket;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::ids::announce_many;
use crate::attack::{Attack, Outcome};
use crate::node::{Node, random_id};
use crate::site::{Ground, Site};

pub(super) fn attacks() -> Vec<Attack> {
    vec![
        Attack {
            name: "many-keys",
            title: "`put`s with bodies of as many keys as fit, four at a time",
            run: |ground| Box::pin(many_keys(ground)),
        },
        Attack {
            name: "status-at-once",
            title: "/status is asked four at a time, while 1,000 announces are here",
            run: |ground| Box::pin(status_at_once(ground)),
        },
        Attack {
            name: "introductions",
            title: "introductions at the admin port, one after another",
            run: |ground| Box::pin(introductions(ground)),
        },
        Attack {
            name: "control-characters",
            title: "names and values with C0, C1 and bidirectional characters, announced over the DHT and the API",
            run: |ground| Box::pin(control_characters(ground)),
        },
    ]
}

/// The same request, again and again, on four connections of another host.
async fn four_at_a_time(ground: Ground, mut site: Site, request: Request) -> Result<Outcome> {
    let api = site.api_from_elsewhere();
    let bytes = request.bytes();
    let end = Instant::now() + ground.time() + Duration::from_secs(1);
    let lanes = (0..4).map(async |_| {
        let mut connection = Connection::open(api).await?;
        let mut answered = 0_u64;
        while Instant::now() < end {
            connection.send(&bytes).await?;
            connection.reply(false).await?;
            answered += 1;
        }
        anyhow::Ok(answered)
    });
    let (answered, observed) = site.during(try_join_all(lanes)).await?;
    let answered: u64 = answered.iter().sum();
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{:.0}/s, {seconds:.0} s", answered as f64 / seconds));
    observed.judge(&mut outcome);
    Ok(outcome)
}

async fn many_keys(ground: Ground) -> Result<Outcome> {
    let site = Site::start(ground).await?;
    let mut body = String::from(r#"{"data":{"v":"x""#);
    for n in 0.. {
        let key = format!(r#","{n:x}":0"#);
        if body.len() + key.len() > 8190 {
            break;
        }
        body.push_str(&key);
    }
    body.push_str("}}");
    four_at_a_time(ground, site, Request::post("/put", body)).await
}

async fn status_at_once(ground: Ground) -> Result<Outcome> {
    let site = Site::start(ground).await?;
    announce_many(&site, ground.pick(1000, 200)).await?;
    four_at_a_time(ground, site, Request::get("/status")).await
}

async fn introductions(ground: Ground) -> Result<Outcome> {
    let admin = ground.at(1, 9091);
    let mut site = Site::start_with(ground, 4, &[]).await?;
    let place = site.target().place.clone();
    site.servers.remove(0).process.kill().await?;
    let bootstrap = vec![ground.at(2, 20001)];
    let mut place = Place { bootstrap, ..place };
    place.flags.extend(["--admin-bind".to_owned(), admin.to_string()]);
    site.servers.insert(0, Server::start(place).await?);
    grape_tests::lab::know_each_other(&site.servers).await?;
    let mut silent = Vec::new();
    for n in 0..200 {
        silent.push(UdpSocket::bind(ground.at(20 + n, 4000)).await?);
    }
    let introducing = async {
        let end = Instant::now() + ground.time();
        let (mut asked, mut taken) = (0_u64, 0_u64);
        while Instant::now() < end {
            let first = (asked * 8 % 192) as u8;
            let named: Vec<_> =
                (first..first + 8).map(|n| ground.at(20 + n, 4000).to_string()).collect();
            let body = json!({ "addresses": named }).to_string();
            let reply = http::send(admin, &Request::post("/introduce", body)).await?;
            asked += 1;
            taken += u64::from(reply.status == 200);
            sleep(Duration::from_millis(2)).await;
        }
        Ok((asked, taken))
    };
    let ((asked, taken), observed) = site.during(introducing).await?;
    let page = Request::post("/introduce", r#"{"addresses":[]}"#);
    let page = page.header("origin", "http://evil.example");
    let refused = http::send(admin, &page).await?.status;
    // Each is pinged a few times, for an answer may be lost.
    sleep(Duration::from_secs(2)).await;
    let mut buffer = [0; 2048];
    let mut came = 0;
    for socket in &silent {
        while socket.try_recv(&mut buffer).is_ok() {
            came += 1;
        }
    }
    let seconds = observed.time.as_secs_f64();
    let mut outcome = Outcome::new(format!("{:.0}/s, {seconds:.0} s", asked as f64 / seconds));
    observed.judge(&mut outcome);
    let most = seconds.ceil() as u64 + 1;
    outcome.must("one a second is taken", format!("{taken} of {asked}"), taken <= most);
    let pings = format!("{came} for {taken}");
    outcome.must("8 addresses each, pinged ≤ 3 times", pings, came <= taken * 8 * 3);
    outcome.must("a web page gets 403", format!("status {refused}"), refused == 403);
    Ok(outcome)
}

/// Colours, a title of the window, the order of letters, and a line that looks like the log's.
const OBEYED: &str = "red\u{1b}[31m\u{9b}31m\u{1b}]0;title\u{7}\u{202e}\nforged INFO line";

/// Whether a terminal would obey a character.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

async fn control_characters(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start_with(ground, 4, &["--log", "debug"]).await?;
    let node = Node::polite(ground.at(100, 5000), random_id()).await?;
    node.greet(&site.addresses()).await?;
    let all = site.addresses();
    let mut client = site.target().client();
    let saying = async {
        for to in &all {
            node.announce(*to, OBEYED.as_bytes(), 7300).await?;
        }
        client.lookup(OBEYED).await?;
        client.announce(OBEYED, 7301).await?;
        let put = client.call("put", json!({ "v": OBEYED })).await?;
        client.call("withdraw", json!([OBEYED, 7301])).await?;
        let path = format!("/{}", OBEYED.replace(is_obeyed, "%1b"));
        http::send(site.servers[0].place.api, &Request::get(&path)).await?;
        put.as_str().map(str::to_owned).context("put answers a hash")
    };
    let hash = saying.await?;
    let (_, observed) = site
        .during(async {
            sleep(ground.time()).await;
            Ok(())
        })
        .await?;
    let mut outcome = Outcome::new("once at each Grape");
    observed.judge(&mut outcome);
    let log = site.target().process.errors();
    let forged = |line: &&String| line.starts_with("forged") || line.chars().any(is_obeyed);
    let bad = log.iter().filter(forged).count();
    let lines = format!("{bad} of {} lines", log.len());
    outcome.must("none in the text log", lines, bad == 0 && !log.is_empty());
    let url = format!("http://{}", site.target().place.api);
    let mut command = Command::new(binary()?);
    let output = command.args(["get", &hash, "-o", "json", "--grape", &url]).output().await?;
    let json = String::from_utf8_lossy(&output.stdout).into_owned();
    let clean = !json.trim_end().chars().any(is_obeyed) && json.contains("red");
    let measured = format!("{} bytes, {}", json.len(), if clean { "clean" } else { "not clean" });
    outcome.must("none in `grape get -o json`", measured, clean);
    Ok(outcome)
}
