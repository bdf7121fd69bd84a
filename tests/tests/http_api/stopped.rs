//! A Grape that is stopped under load answers every request that was sent to it.

use std::io::{BufRead, BufReader, ErrorKind, Read, Result, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use grape_tests::figure;
use grape_tests::grape::{Grape, Kind, Options, Seat};

/// How often it is stopped; `STOPS=20` for a measurement.
const STOPS: usize = 4;

/// How long there is load before a stop.
const LOAD: Duration = Duration::from_millis(700);

/// How a client asks.
#[derive(Debug, Clone, Copy)]
enum Client {
    /// Over one connection, with a pause between requests in ms.
    KeepsAlive(u64),
    /// Over a new connection each time.
    Reconnects,
    /// So many requests at once.
    Pipelines(usize),
    /// Each request in two pieces, so many ms apart.
    Halves(u64),
}

const CLIENTS: [Client; 16] = [
    Client::KeepsAlive(0),
    Client::KeepsAlive(0),
    Client::KeepsAlive(0),
    Client::KeepsAlive(0),
    Client::KeepsAlive(1),
    Client::KeepsAlive(7),
    Client::KeepsAlive(50),
    Client::KeepsAlive(230),
    Client::Reconnects,
    Client::Reconnects,
    Client::Reconnects,
    Client::Reconnects,
    Client::Pipelines(3),
    Client::Pipelines(40),
    Client::Halves(1),
    Client::Halves(20),
];

/// What became of a client's requests.
#[derive(Debug, Default)]
struct Tally {
    sent: usize,
    lost: Vec<String>,
}

/// Sends requests until connections are refused.
fn ask(client: Client, address: SocketAddr) -> Tally {
    let mut tally = Tally::default();
    while let Ok(stream) = TcpStream::connect(address) {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let mut reader = BufReader::new(stream);
        while ask_once(client, &mut reader, &mut tally) {}
    }
    tally
}

/// Asks once, or as often as the client does at once. False when the connection is used up.
fn ask_once(client: Client, reader: &mut BufReader<TcpStream>, tally: &mut Tally) -> bool {
    let body = r#"{"rid":"r","data":"name"}"#;
    let length = body.len();
    let request =
        format!("POST /lookup HTTP/1.1\r\nhost: a\r\ncontent-length: {length}\r\n\r\n{body}");
    if has_ended(reader.get_ref()) {
        return false;
    }
    let (count, sent) = match client {
        Client::Halves(pause) => {
            let (first, rest) = request.split_at(request.len() / 2);
            let sent = reader.get_ref().write_all(first.as_bytes());
            thread::sleep(Duration::from_millis(pause));
            (1, sent.and_then(|()| reader.get_ref().write_all(rest.as_bytes())))
        }
        Client::Pipelines(count) => {
            (count, reader.get_ref().write_all(request.repeat(count).as_bytes()))
        }
        _ => (1, reader.get_ref().write_all(request.as_bytes())),
    };
    if sent.is_err() {
        return false;
    }
    for number in 1..=count {
        tally.sent += 1;
        match answer(reader) {
            Ok(closes) if closes && number < count => {
                tally.lost.push(format!("{client:?}: closed after {number} of {count}"));
                return false;
            }
            Ok(true) => return false,
            Ok(false) => {}
            Err(error) => {
                tally.lost.push(format!("{client:?}: {number} of {count}: {error}"));
                return false;
            }
        }
    }
    match client {
        Client::Reconnects => return false,
        Client::KeepsAlive(pause) => thread::sleep(Duration::from_millis(pause)),
        Client::Pipelines(_) | Client::Halves(_) => {}
    }
    true
}

/// Whether the other side has closed, as far as the system knows.
fn has_ended(stream: &TcpStream) -> bool {
    stream.set_nonblocking(true).unwrap();
    let waits =
        matches!(stream.peek(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
    stream.set_nonblocking(false).unwrap();
    !waits
}

/// Reads a whole answer; whether it is the last one.
fn answer(reader: &mut BufReader<TcpStream>) -> Result<bool> {
    let (mut length, mut closes) = (None, false);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        closes |= line == "connection: close";
        if let Some(value) = line.strip_prefix("content-length: ") {
            length = value.parse::<usize>().ok();
        }
    }
    let mut body = vec![0; length.ok_or(ErrorKind::InvalidData)?];
    reader.read_exact(&mut body)?;
    if body == b"[]" { Ok(closes) } else { Err(ErrorKind::InvalidData.into()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_that_was_sent_is_left_without_an_answer() {
    let stops = std::env::var("STOPS").ok().and_then(|text| text.parse().ok()).unwrap_or(STOPS);
    let (mut sent, mut lost, mut longest) = (0, Vec::new(), Duration::ZERO);
    for _ in 0..stops {
        let seat = Seat::take().unwrap();
        let mut grape = Grape::start(Kind::Ours, seat, &Options::default()).await.unwrap();
        let address = grape.api();
        let clients: Vec<_> =
            CLIENTS.map(|client| thread::spawn(move || ask(client, address))).into();
        tokio::time::sleep(LOAD).await;
        let began = tokio::time::Instant::now();
        grape.process().signal("TERM").await.unwrap();
        let status = grape.process().ended().await.unwrap();
        longest = longest.max(began.elapsed());
        assert!(status.success(), "{status}");
        for client in clients {
            let tally = client.join().unwrap();
            sent += tally.sent;
            lost.extend(tally.lost);
        }
    }
    figure::tell(&format!("14: {stops} stops under load: {} of {sent} requests lost", lost.len()));
    figure::took("14: the longest of these stops", longest);
    assert!(lost.is_empty(), "{lost:#?}");
}
