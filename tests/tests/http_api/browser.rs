//! Pages in a real browser: headless Chromium, from Debian's package `chromium`.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use grape_tests::grape::{Grape, Kind, Options, Seat};
use grape_tests::http::Request;
use rstest::rstest;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio::time::timeout;

/// How long a browser may take to start, and to load a page.
const LONGEST: Duration = Duration::from_secs(120);

/// Announces, looks up, watches, asks over a WebSocket; reports what it got.
const PAGE: &str = r#"<!doctype html><script>
const grape = location.hash.slice(1)
const call = async (verb, data) => {
  const response = await fetch(`http://${grape}/${verb}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'x-own': '1' },
    body: JSON.stringify({ rid: 'r', data })
  })
  return response.status + ' ' + await response.text()
}
const watch = () => new Promise(resolve => {
  const source = new EventSource(`http://${grape}/watch?name=rpc_page`)
  source.addEventListener('peers', event => { source.close(); resolve(event.data) })
  source.onerror = () => { source.close(); resolve('refused') }
})
const socket = () => new Promise(resolve => {
  const socket = new WebSocket(`ws://${grape}/`)
  socket.onopen = () => socket.send('["r","lookup","rpc_page"]')
  socket.onmessage = event => { socket.close(); resolve(event.data) }
  socket.onerror = () => resolve('refused')
})
const tell = promise => promise.catch(error => 'refused')
;(async () => {
  const got = []
  got.push(await tell(call('announce', ['rpc_page', 1337])))
  got.push(await tell(call('lookup', 'rpc_page')))
  got.push(await tell(call('lookup', 'x'.repeat(9000))))
  got.push(await tell(watch()))
  got.push(await tell(socket()))
  await fetch('/told', { method: 'POST', body: got.join('\n') })
})()
</script>"#;

/// Asks for what a page may send without asking its browser first, and by a form.
const HOSTILE: &str = r#"<!doctype html>
<iframe name="frame"></iframe>
<form method="post" target="frame" enctype="text/plain">
  <input name='{"data":["rpc_page",1337],"x":"' value='"}'>
</form>
<script>
const grape = location.hash.slice(1)
const submit = verb => new Promise(resolve => {
  frames.frame.frameElement.onload = resolve
  const form = document.querySelector('form')
  form.action = `http://${grape}/${verb}`
  form.submit()
})
const send = (verb, body) =>
  fetch(`http://${grape}/${verb}`, { method: 'POST', mode: 'no-cors', body })
;(async () => {
  const got = []
  for (const asked of [
    submit('announce'),
    send('announce', '{"data":["rpc_page",1337]}'),
    send('withdraw', '{"data":["rpc_kept",1337]}'),
    send('drain')
  ]) {
    got.push(await asked.then(() => 'sent', () => 'refused'))
  }
  navigator.sendBeacon(`http://${grape}/announce`, '{"data":["rpc_page",1337]}')
  await fetch('/told', { method: 'POST', body: got.join('\n') })
})()
</script>"#;

/// Serves a page until it reports what it got.
async fn told(listener: TcpListener, page: &str) -> String {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok()
                });
                if head.starts_with("POST /told") && body.len() >= length.unwrap_or(0) {
                    return body.to_owned();
                }
                if head.starts_with("GET") {
                    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close";
                    let length = page.len();
                    let answer = format!("{head}\r\ncontent-length: {length}\r\n\r\n{page}");
                    stream.write_all(answer.as_bytes()).await.unwrap();
                    break;
                }
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                break;
            }
        }
    }
}

/// A browser without a window, and its profile.
fn browser(profile: &TempDir) -> Command {
    let mut browser = Command::new("chromium");
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    browser
}

const MISSING: &str =
    "Chromium should be there: apt-get install -y --no-install-recommends chromium";

/// What a page of this origin's server gets from a Grape.
async fn got(page: &str, listener: TcpListener, grape: SocketAddr) -> String {
    let profile = tempfile::tempdir().unwrap();
    let url = format!("http://{}/#{grape}", listener.local_addr().unwrap());
    let mut browser =
        browser(&profile).arg("--remote-debugging-port=0").arg(url).spawn().expect(MISSING);
    let told =
        timeout(LONGEST, told(listener, page)).await.expect("the page should tell what it got");
    browser.kill().await.unwrap();
    told
}

#[rstest]
#[case::of_a_listed_origin(Some(true))]
#[case::of_another_origin(Some(false))]
#[case::without_the_flag(None)]
#[tokio::test]
async fn a_page_may_ask_when_its_origin_is_listed(#[case] listed: Option<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let flags = match listed {
        Some(true) => vec!["--api-origin".to_owned(), format!("http://localhost:5173,{origin}")],
        Some(false) => vec!["--api-origin".to_owned(), "http://localhost:5173".to_owned()],
        None => Vec::new(),
    };
    let options = Options { flags, ..Options::default() };
    let grape = Grape::start(Kind::Ours, Seat::take().unwrap(), &options).await.unwrap();
    let got = got(PAGE, listener, grape.api()).await;
    let expected = match listed {
        Some(true) => [
            "200 0",
            r#"200 ["127.0.0.1:1337"]"#,
            "413 ERR_GRAPE_PAYLOAD_SIZE",
            r#"["127.0.0.1:1337"]"#,
            r#"["r",["127.0.0.1:1337"]]"#,
        ],
        Some(false) | None => ["refused"; 5],
    };
    assert_eq!(got.lines().collect::<Vec<_>>(), expected);
}

/// What a browser sends although the page may read no answer.
#[tokio::test]
async fn a_hostile_page_changes_nothing() {
    let grape = Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let post =
        async |path: &str, body: &str| grape.send(&Request::post(path, body)).await.unwrap().body;
    post("/announce", r#"{"data":["rpc_kept",1337]}"#).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let got = got(HOSTILE, listener, grape.api()).await;
    // That they were sent is all that the page learns.
    assert_eq!(got.lines().collect::<Vec<_>>(), ["sent"; 4]);
    assert_eq!(post("/lookup", r#"{"data":"rpc_page"}"#).await, "[]");
    assert_eq!(post("/lookup", r#"{"data":"rpc_kept"}"#).await, r#"["127.0.0.1:1337"]"#);
}

/// The page of a host whose name led elsewhere when the page was loaded, and leads here now: for the
/// browser, the Grape is that host.
#[tokio::test]
async fn a_name_that_is_bound_to_this_machine_reads_nothing() {
    let grape = Grape::start(Kind::Ours, Seat::take().unwrap(), &Options::default()).await.unwrap();
    let profile = tempfile::tempdir().unwrap();
    for (host, read) in [("evil.example", false), ("localhost", true)] {
        let mut browser = browser(&profile);
        browser.arg("--host-resolver-rules=MAP evil.example 127.0.0.1").arg("--dump-dom");
        browser.arg(format!("http://{host}:{}/status", grape.api().port()));
        let output = timeout(LONGEST, browser.stdout(Stdio::piped()).output()).await;
        let shown = output.expect("the browser should end").expect(MISSING).stdout;
        let shown = String::from_utf8(shown).unwrap();
        assert_eq!(shown.contains("uptimeSeconds"), read, "{shown}");
        assert_eq!(shown.contains("--api-host"), !read, "{shown}");
    }
}
