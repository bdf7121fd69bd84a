//! Signed BEP 44 items, as the JSON that a Grape's `put` takes.

use ed25519_dalek::{Signer, SigningKey};
use serde_json::{Value, json};

/// An author of mutable items.
#[derive(Debug)]
pub struct Author(SigningKey);

impl Author {
    /// An author whose key is made of one byte. The same byte gives the same author.
    pub fn new(seed: u8) -> Self {
        Self(SigningKey::from_bytes(&[seed; 32]))
    }

    /// The public key in hex.
    pub fn key(&self) -> String {
        hex::encode(self.0.verifying_key().as_bytes())
    }

    /// The key pair, for peers that sign for themselves.
    pub fn signing_key(&self) -> &SigningKey {
        &self.0
    }

    /// A signed item; `salt` may be empty.
    pub fn item(&self, value: &str, seq: i64, salt: &str) -> Value {
        let mut signable = Vec::new();
        if !salt.is_empty() {
            signable.extend_from_slice(format!("4:salt{}:{salt}", salt.len()).as_bytes());
        }
        signable.extend_from_slice(format!("3:seqi{seq}e1:v{}:{value}", value.len()).as_bytes());
        let signature = self.0.sign(&signable).to_bytes();
        let mut item =
            json!({ "v": value, "k": self.key(), "seq": seq, "sig": hex::encode(signature) });
        if !salt.is_empty() {
            item["salt"] = json!(salt);
        }
        item
    }
}

/// An item with something else in one of its fields; without the field for `null`.
#[must_use]
pub fn with(mut item: Value, field: &str, value: Value) -> Value {
    if let Some(fields) = item.as_object_mut() {
        match value {
            Value::Null => drop(fields.remove(field)),
            value => drop(fields.insert(field.to_owned(), value)),
        }
    }
    item
}
