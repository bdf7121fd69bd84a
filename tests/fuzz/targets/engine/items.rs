//! BEP 44 items that nodes put and get.

use std::sync::LazyLock;

use ed25519_dalek::{Signer, SigningKey};
use grape_engine::{Item, Signed, signable};

use crate::steps::Choice;

/// How many there are.
const COUNT: u8 = 32;

static ITEMS: LazyLock<Vec<Item>> = LazyLock::new(|| (0..COUNT).map(make).collect());

impl Choice {
    pub fn item(self) -> &'static Item {
        &ITEMS[usize::from(self.0 % COUNT)]
    }

    /// The salt of its item; empty for none.
    pub fn salt(self) -> &'static [u8] {
        self.item().signed().map_or(&[], |signed| &signed.salt)
    }
}

/// Half of them are mutable: three authors, some with a salt, of several versions.
fn make(number: u8) -> Item {
    let value = match number % 8 {
        7 => [b"999:".as_slice(), &[number; 999]].concat(),
        _ => format!("i{number}e").into_bytes(),
    };
    let made = if number.is_multiple_of(2) {
        Item::immutable(value)
    } else {
        let key = SigningKey::from_bytes(&[number % 3; 32]);
        let salt = if number % 4 == 1 { b"salt".to_vec() } else { Vec::new() };
        let seq = i64::from(number / 4);
        let signature = key.sign(&signable(&salt, seq, &value)).to_bytes();
        let key = key.verifying_key().to_bytes();
        Item::mutable(value, Signed { key, signature, seq, salt })
    };
    made.expect("these values are within BEP 44's limits")
}
