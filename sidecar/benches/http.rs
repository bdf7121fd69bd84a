//! HTTP from parse to answer: a Grape and who asks it on one thread, over one connection that is
//! kept. The system calls of both are in the figures.

use criterion::{Criterion, criterion_group, criterion_main};
use grape::config::Config;
use grape::lifecycle::Grape;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Each verb whose answer is in memory: its data, and the end of its answer.
const CASES: [(&str, &str, &str); 3] = [
    ("lookup", r#""rpc_test""#, r#"["127.0.0.1:1337"]"#),
    ("announce", r#"["rpc_test",1337]"#, "\r\n\r\n0"),
    ("get", r#""e28910ea0adb94dd45ced75fbff3e135c01bc437""#, r#""v":"hello"}"#),
];

fn request(verb: &str, data: &str) -> Vec<u8> {
    let body = format!(r#"{{"rid":"a-request","data":{data}}}"#);
    let length = body.len();
    format!("POST /{verb} HTTP/1.1\r\nhost: grape\r\ncontent-length: {length}\r\n\r\n{body}").into()
}

/// The answer to a request; it is small enough to come in one piece.
async fn ask<'a>(stream: &mut TcpStream, request: &[u8], buffer: &'a mut [u8]) -> &'a [u8] {
    stream.write_all(request).await.expect("the Grape reads");
    let length = stream.read(buffer).await.expect("the Grape answers");
    &buffer[..length]
}

fn http(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let ip = Some(std::net::Ipv4Addr::LOCALHOST.into());
    let config = Config { bind: ip, api_port: 0, dht_bind: ip, dht_port: 0, ..Config::default() };
    let mut buffer = [0; 4096];
    let (_grape, mut stream) = runtime.block_on(async {
        let grape = Grape::start(config).await.expect("free ports");
        let mut stream = TcpStream::connect(grape.api_addr()).await.expect("the Grape listens");
        stream.set_nodelay(true).expect("TCP");
        for (verb, data) in [("announce", r#"["rpc_test",1337]"#), ("put", r#"{"v":"hello"}"#)] {
            ask(&mut stream, &request(verb, data), &mut buffer).await;
        }
        (grape, stream)
    });
    for (verb, data, end) in CASES {
        let request = request(verb, data);
        let answer = runtime.block_on(ask(&mut stream, &request, &mut buffer));
        assert!(answer.ends_with(end.as_bytes()), "{verb}: {}", String::from_utf8_lossy(answer));
        criterion.bench_function(&format!("http: {verb}"), |bencher| {
            bencher.iter(|| runtime.block_on(ask(&mut stream, &request, &mut buffer)).len());
        });
    }
}

criterion_group!(benches, http);
criterion_main!(benches);
