//! Keys that sign mutable items. A key file is what `openssl genpkey -algorithm ed25519` writes, and
//! what Node.js and Python read: PKCS#8 in PEM, without a password.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::{Signer, SigningKey};
use grape_engine::{MAX_SALT, signable};
use mainline::MutableItem;
use pem::{EncodeConfig, LineEnding, Pem};
use rand::RngExt;
use serde_json::{Value, json};

use crate::http::bencode;

use super::args::{Format, To};
use super::client;
use super::output::{Failure, Output};

/// What stands before the 32 bytes of a secret ed25519 key in PKCS#8 (RFC 8410) …
const HEAD: [u8; 16] = *b"\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20";
/// … of which these say that it is one: the others are a length and a version.
const TELLING: std::ops::Range<usize> = 5..16;
/// What PEM calls such a file.
const TAG: &str = "PRIVATE KEY";
/// The most that is read of a key file, in bytes.
const MAX_FILE: u64 = 64 << 10;

/// Makes a key, writes it to a file that was not there, and shows the public key.
pub(crate) fn new(file: &Path, format: Format, output: &mut Output) -> Result<bool, Failure> {
    let key = SigningKey::from_bytes(&rand::rng().random());
    let text = Pem::new(TAG, [&HEAD[..], key.as_bytes()].concat());
    let text = pem::encode_config(&text, EncodeConfig::new().set_line_ending(LineEnding::LF));
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    written.and_then(|mut written| written.write_all(text.as_bytes())).map_err(|error| {
        Failure::Usage(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                format!("{} is there already: no key is overwritten", file.display())
            }
            _ => format!("cannot write {}: {error}", file.display()),
        })
    })?;
    show_public(&key, format, output)
}

/// Shows the public key that belongs to the key in a file.
pub(crate) fn show(file: &Path, format: Format, output: &mut Output) -> Result<bool, Failure> {
    show_public(&read(file)?, format, output)
}

fn show_public(key: &SigningKey, format: Format, output: &mut Output) -> Result<bool, Failure> {
    let public = public(key);
    output.line(&match format {
        Format::Text => public,
        Format::Json => json!({ "key": public }).to_string(),
    })?;
    Ok(true)
}

fn public(key: &SigningKey) -> String {
    hex::encode(key.verifying_key().as_bytes())
}

/// The key in a file.
pub(crate) fn read(file: &Path) -> Result<SigningKey, Failure> {
    let mut text = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(MAX_FILE).read_to_end(&mut text))
        .map_err(|error| Failure::Usage(format!("cannot read {}: {error}", file.display())))?;
    parse(&text).ok_or_else(|| {
        Failure::Usage(format!(
            "{} holds no ed25519 key in PEM without a password: `grape key new FILE` makes one, \
             and so does `openssl genpkey -algorithm ed25519`",
            file.display()
        ))
    })
}

fn parse(text: &[u8]) -> Option<SigningKey> {
    let pem = pem::parse(text).ok().filter(|pem| pem.tag() == TAG)?;
    let (head, rest) = pem.contents().split_first_chunk::<{ HEAD.len() }>()?;
    let secret = rest.first_chunk::<32>()?;
    (head[TELLING] == HEAD[TELLING]).then(|| SigningKey::from_bytes(secret))
}

/// How an item is signed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Signing<'a> {
    pub(crate) key: &'a SigningKey,
    /// The item's version; the one after what is stored unless given.
    pub(crate) seq: Option<i64>,
    /// Distinguishes several items of one key; empty for none.
    pub(crate) salt: &'a str,
}

/// The data of a `put` of this value, signed.
pub(crate) async fn sign(value: &Value, how: &Signing<'_>, to: &To) -> Result<Value, Failure> {
    if how.salt.len() > MAX_SALT {
        let size = how.salt.len();
        return Err(Failure::Usage(format!(
            "the salt is {size} bytes; a salt has at most {MAX_SALT}"
        )));
    }
    let encoded = bencode(&value.to_string()).map_err(Failure::Usage)?;
    let seq = match how.seq {
        Some(seq) => seq,
        None => stored_seq(how, to).await?.saturating_add(1),
    };
    let signature = how.key.sign(&signable(how.salt.as_bytes(), seq, &encoded));
    let mut data = json!({
        "v": value,
        "k": public(how.key),
        "sig": hex::encode(signature.to_bytes()),
        "seq": seq,
    });
    if !how.salt.is_empty() {
        data["salt"] = json!(how.salt);
    }
    Ok(data)
}

/// The version that is stored; 0 for none.
async fn stored_seq(how: &Signing<'_>, to: &To) -> Result<i64, Failure> {
    let salt = Some(how.salt.as_bytes()).filter(|salt| !salt.is_empty());
    let id = MutableItem::target_from_key(how.key.verifying_key().as_bytes(), salt);
    let question = json!({ "hash": id.to_string(), "salt": how.salt });
    let said = client::ask(&to.url(), "get", &question).await?;
    Ok(said.body.as_ref().and_then(|item| item["seq"].as_i64()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What OpenSSL 3.0 wrote.
    const OPENSSL: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH\n\
        -----END PRIVATE KEY-----\n";

    #[test]
    fn keys_of_others_are_read() {
        assert_eq!(parse(OPENSSL.as_bytes()).unwrap().as_bytes(), &[7; 32]);
    }

    #[test]
    fn files_without_a_key_are_refused() {
        let pem = |tag: &str, der: &[u8]| pem::encode(&Pem::new(tag, der));
        let whole = [&HEAD[..], &[7; 32]].concat();
        assert!(parse(pem(TAG, &whole).as_bytes()).is_some());
        for text in [
            String::new(),
            "a key".to_owned(),
            pem("PUBLIC KEY", &whole),
            pem("ENCRYPTED PRIVATE KEY", &whole),
            pem(TAG, &whole[..47]),
            pem(TAG, &[0; 48]),
            // X25519, which does not sign.
            pem(TAG, &[&HEAD[..11], b"\x6e", &HEAD[12..], &[7; 32]].concat()),
        ] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
    }
}
