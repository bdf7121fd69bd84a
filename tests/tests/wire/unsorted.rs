//! Dictionaries whose keys are not in order, as some programs write them: read by npm's Grapes, and by
//! ours.

use std::time::Duration;

use ed25519_dalek::{Signer, SigningKey};
use grape_engine::krpc::{Body, Response, decode};
use grape_tests::grape::{Grape, Kind};
use grape_tests::network::{Network, Shape};
use rstest::rstest;
use serde_json::{Value, json};
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// A byte string as bencode.
fn bytes(bytes: &[u8]) -> Vec<u8> {
    [bytes.len().to_string().as_bytes(), b":", bytes].concat()
}

/// A dictionary of entries, in the order in which they are given.
fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let entries =
        entries.iter().flat_map(|(key, value)| [bytes(key.as_bytes()), value.clone()].concat());
    [b'd'].into_iter().chain(entries).chain([b'e']).collect()
}

async fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").await.unwrap()
}

/// Asks a Grape, the envelope's keys in the wrong order too, and gives the datagram that answers.
async fn ask(
    socket: &UdpSocket,
    grape: &Grape,
    method: &str,
    arguments: &[(&str, Vec<u8>)],
) -> Vec<u8> {
    let query = dict(&[
        ("y", bytes(b"q")),
        ("t", bytes(b"tt")),
        ("q", bytes(method.as_bytes())),
        ("a", dict(arguments)),
    ]);
    socket.send_to(&query, ("127.0.0.1", grape.dht_port())).await.unwrap();
    loop {
        let mut answer = vec![0; 2048];
        let length = timeout(Duration::from_secs(10), socket.recv(&mut answer)).await;
        let length = length.unwrap_or_else(|_| panic!("{grape} does not answer {method}")).unwrap();
        answer.truncate(length);
        // The Grape asks back whether we are there.
        if !matches!(decode(&answer).unwrap().body, Body::Query(_)) {
            return answer;
        }
    }
}

fn response(datagram: &[u8]) -> Box<Response<'_>> {
    match decode(datagram).unwrap().body {
        Body::Response(response) => response,
        other => panic!("{other:?}"),
    }
}

fn id() -> Vec<u8> {
    bytes(&[b'i'; 20])
}

/// Stores a value, as bencode, with what signs it, and gives what `get` then answers for `target`.
async fn put(grape: &Grape, target: &[u8], value: &[u8], signed: &[(&str, Vec<u8>)]) -> Vec<u8> {
    // A token is for the port that asked for it.
    let socket = &socket().await;
    let asked = [("target", bytes(target)), ("id", id())];
    let answer = ask(socket, grape, "get", &asked).await;
    let token = response(&answer).token.unwrap().into_owned();
    let mut arguments = vec![("v", value.to_vec()), ("token", bytes(&token))];
    arguments.extend_from_slice(signed);
    arguments.push(("id", id()));
    response(&ask(socket, grape, "put", &arguments).await);
    ask(socket, grape, "get", &asked).await
}

#[rstest]
#[tokio::test]
async fn queries_with_keys_in_any_order_are_answered(#[values(Kind::Npm, Kind::Ours)] kind: Kind) {
    let network = Network::start(Shape::Star, &[kind; 2]).await.unwrap();
    let [grape, other] = &network.grapes[..] else { panic!("two Grapes") };
    let (socket, id) = (&socket().await, id());
    let target = bytes(&[b't'; 20]);
    let name = bytes(b"rpc_test");
    for (method, arguments) in [
        ("ping", vec![("id", id.clone())]),
        ("find_node", vec![("target", target.clone()), ("id", id.clone())]),
        ("get_peers", vec![("info_hash", name.clone()), ("id", id.clone())]),
        ("get", vec![("target", target), ("id", id.clone())]),
    ] {
        let answer = ask(socket, grape, method, &arguments).await;
        assert_eq!(hex::encode(response(&answer).id.as_bytes()), grape.id(), "{method}");
    }
    let answer =
        ask(socket, grape, "get_peers", &[("info_hash", name.clone()), ("id", id.clone())]).await;
    let token = bytes(&response(&answer).token.unwrap());
    let port = ("port", b"i7001e".to_vec());
    let announce = [("token", token), port, ("info_hash", name), ("id", id)];
    response(&ask(socket, grape, "announce_peer", &announce).await);
    assert_eq!(other.lookup("rpc_test").await.unwrap(), ["127.0.0.1:7001".to_owned()].into());
    // A value whose keys are in order, in a query whose keys are not.
    let value = bytes(b"hello");
    let target = sha1_smol::Sha1::from(&value).digest().bytes();
    let got = put(grape, &target, &value, &[]).await;
    assert_eq!(response(&got).value.as_deref(), Some(&value[..]));
}

/// npm's Grapes hash such a value with its keys in order, so they have it under another id.
#[tokio::test]
async fn a_value_with_keys_in_any_order_is_found_under_the_hash_of_its_bytes() {
    let network = Network::of(Shape::Star, "ooo").await.unwrap();
    let [_, stored, asked] = &network.grapes[..] else { panic!("three Grapes") };
    for (value, shown) in [
        (&b"d1:bi1e1:ai2ee"[..], json!({ "a": 2, "b": 1 })),
        (b"ld1:z1:y1:al1:xeee", json!([{ "a": ["x"], "z": "y" }])),
        (b"d1:ai1e1:ai2ee", json!({ "a": 2 })),
    ] {
        let target = sha1_smol::Sha1::from(value).digest().bytes();
        let got = put(stored, &target, value, &[]).await;
        assert_eq!(response(&got).value.as_deref(), Some(value));
        let item = asked.get(json!(hex::encode(target))).await.unwrap().unwrap();
        let text = item["v"].as_str().unwrap();
        assert_eq!(serde_json::from_str::<Value>(text).unwrap(), shown, "{item}");
    }
}

#[tokio::test]
async fn a_value_with_keys_in_any_order_is_signed_as_it_is() {
    let network = Network::of(Shape::Star, "oo").await.unwrap();
    let key = SigningKey::from_bytes(&[9; 32]);
    let value = b"d1:bi1e1:ai2ee";
    let signature = key.sign(&grape_engine::signable(b"", 1, value)).to_bytes();
    let public = key.verifying_key().to_bytes();
    let target = sha1_smol::Sha1::from(public).digest().bytes();
    let signed = [("sig", bytes(&signature)), ("seq", b"i1e".to_vec()), ("k", bytes(&public))];
    let got = put(&network.grapes[0], &target, value, &signed).await;
    assert_eq!(response(&got).value.as_deref(), Some(&value[..]));
    let item = network.grapes[1].get(json!(hex::encode(target))).await.unwrap().unwrap();
    assert_eq!(item["v"], "{\"a\":2,\"b\":1}");
    assert_eq!(item["sig"], hex::encode(signature));
}
