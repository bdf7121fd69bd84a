//! What a web page that somebody opens may send to 127.0.0.1.

use anyhow::Result;
use grape_tests::lab::TIME_OUT;
use tokio::net::TcpStream;

use crate::attack::{Attack, Outcome};
use crate::site::{Ground, Site};
use crate::sockets::{exchange, status};
use crate::ws_frames::handshake;

pub(super) fn attacks() -> Vec<Attack> {
    vec![Attack {
        name: "web-pages",
        title: "requests of web pages: other origins, other sites, DNS rebinding, WebSockets, on every path",
        run: |ground| Box::pin(web_pages(ground)),
    }]
}

/// What browsers send with requests of pages, of which none may be done.
const PAGES: [&str; 6] = [
    "Host: localhost\r\nOrigin: http://evil.example\r\n",
    "Host: localhost\r\nOrigin: null\r\n",
    "Host: localhost\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\n",
    "Host: localhost\r\nSec-Fetch-Site: same-site\r\n",
    "Host: evil.example\r\n",
    "Host: evil.example\r\nOrigin: http://evil.example\r\nSec-Fetch-Site: same-origin\r\n",
];

/// What must pass.
const PROGRAMS: [&str; 5] = [
    "Host: localhost\r\n",
    "Host: 127.0.0.1:30001\r\n",
    "Host: grape\r\n",
    "",
    "Host: localhost\r\nSec-Fetch-Site: none\r\n",
];

const PATHS: [(&str, &str); 12] = [
    ("POST /announce", r#"{"data":["rpc_page",1337]}"#),
    ("POST /withdraw", r#"{"data":["rpc_kept",1337]}"#),
    ("POST /lookup", r#"{"data":"rpc_kept"}"#),
    ("POST /put", r#"{"data":{"v":"x"}}"#),
    ("POST /get", r#"{"data":"0000000000000000000000000000000000000000"}"#),
    ("POST /drain", ""),
    ("PUT /gossip/workers/state/load", "1"),
    ("GET /gossip", ""),
    ("GET /status", ""),
    ("GET /metrics", ""),
    ("GET /watch?name=rpc_kept", ""),
    ("OPTIONS /announce", ""),
];

fn request(line: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{line} HTTP/1.1\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    )
}

async fn web_pages(ground: Ground) -> Result<Outcome> {
    let mut site = Site::start(ground).await?;
    site.target().client().announce("rpc_kept", 1337).await?;
    let api = site.target().place.api;
    let asked = async |request: &str| {
        let answer = exchange(TcpStream::connect(api).await?, request.as_bytes(), TIME_OUT).await?;
        status(&answer)
    };
    let asking = async {
        let (mut all, mut passed) = (0, Vec::new());
        for page in PAGES {
            for (line, body) in PATHS {
                all += 1;
                let code = asked(&request(line, page, body)).await?;
                if code != 403 {
                    passed.push(format!("{line} with {page:?}: {code}"));
                }
            }
            for path in ["/", "/gossip/workers/events"] {
                all += 1;
                // It names a host of its own: the first one counts nowhere.
                let socket = handshake(path, "").replace("Host: grape\r\n", page);
                let code = asked(&socket).await?;
                if code != 403 {
                    passed.push(format!("WebSocket {path} with {page:?}: {code}"));
                }
            }
        }
        let mut refused = Vec::new();
        for program in PROGRAMS {
            let code = asked(&request("POST /lookup", program, r#"{"data":"rpc_kept"}"#)).await?;
            // HTTP/1.1 without a `Host` is a bad request for some servers; it must not be 403.
            if code == 403 || !program.is_empty() && code != 200 {
                refused.push(format!("{program:?}: {code}"));
            }
        }
        Ok((all, passed, refused))
    };
    let ((all, passed, refused), observed) = site.during(asking).await?;
    let mut client = site.target().client();
    let kept = client.lookup("rpc_kept").await?.len();
    let announced = client.lookup("rpc_page").await?.len();
    let mut outcome = Outcome::new(format!("{all} requests"));
    observed.judge(&mut outcome);
    let measured = format!("{} of {all} not: {passed:?}", passed.len());
    outcome.must("all get 403", measured, passed.is_empty());
    let measured = format!("{} refused: {refused:?}", refused.len());
    outcome.must("programs are answered", measured, refused.is_empty());
    let measured = format!("{kept} kept, {announced} announced");
    outcome.must("nothing was done", measured, (kept, announced) == (1, 0));
    Ok(outcome)
}
