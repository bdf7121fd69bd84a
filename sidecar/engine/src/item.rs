//! BEP 44 items: what `put` stores and `get` returns, checked when made.

use bendy::encoding::{Encoder, ToBencode};
use ed25519_dalek::{Signature, VerifyingKey};
use mainline::{Id, MutableItem};

use crate::krpc::{SignedFields, code, read_value, value_depth};

/// Any bencoded value.
pub use bendy::value::Value;

/// Most bytes of a value, as BEP 44 has it: of the text for a string, of the encoding otherwise.
pub const MAX_VALUE: usize = 999;

/// Most bytes of a salt (BEP 44).
pub const MAX_SALT: usize = 64;

/// Deepest nesting of lists and dictionaries in a value.
pub const MAX_DEPTH: usize = 32;

/// Why a value cannot be an item. The codes are BEP 44's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ItemError {
    /// The value is too long (205).
    #[error("v must be less than 1000 bytes in put()")]
    TooBig,
    /// The value is nested deeper than [`MAX_DEPTH`] (205).
    #[error("v is nested deeper than 32 levels")]
    TooDeep,
    /// The value is no bencode, or its numbers are not in their one form (203).
    #[error("v is no bencoded value")]
    NoValue,
    /// The salt is too long (207).
    #[error("opts.salt is > 64 bytes long")]
    SaltTooBig,
    /// The key is no point of the curve, or the signature is not the key's over this item (206).
    #[error("invalid signature")]
    InvalidSignature,
}

impl ItemError {
    /// The error's code on the wire (BEP 44).
    pub fn code(self) -> i64 {
        match self {
            Self::NoValue => code::PROTOCOL,
            Self::TooBig | Self::TooDeep => 205,
            Self::InvalidSignature => 206,
            Self::SaltTooBig => 207,
        }
    }

    /// The error's message on the wire.
    pub fn message(self) -> &'static str {
        match self {
            Self::NoValue => "invalid v",
            Self::TooBig => "data payload too large",
            Self::TooDeep => "data payload nested too deep",
            Self::InvalidSignature => "invalid signature",
            Self::SaltTooBig => "salt too big",
        }
    }
}

/// What makes an item mutable: who signed it, and which version it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The ed25519 public key.
    pub key: [u8; 32],
    /// The signature over salt, seq and value.
    pub signature: [u8; 64],
    /// The version; a higher one replaces a lower one.
    pub seq: i64,
    /// Tells several items of one key apart; empty for none, at most [`MAX_SALT`] bytes.
    pub salt: Vec<u8>,
}

/// A value that passed every check of BEP 44.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    id: Id,
    /// As bencode, just as its author wrote it. Thousands are kept: it has no room to spare.
    encoded: Box<[u8]>,
    signed: Option<Box<Signed>>,
}

impl Item {
    /// An immutable item, of a bencoded value: its id is the SHA-1 of these bytes.
    ///
    /// ```
    /// use grape_engine::{Item, Value};
    ///
    /// let item = Item::immutable(b"12:Hello World!".to_vec())?;
    /// assert_eq!(item.id().to_string(), "e5f96f6f38320f0f33959cb4d3d656452117aadb");
    /// assert_eq!(item.value(), Value::Bytes(b"Hello World!".as_slice().into()));
    /// # Ok::<(), grape_engine::ItemError>(())
    /// ```
    ///
    /// # Errors
    /// When it is no value, or one that is too long or too deep.
    pub fn immutable(encoded: Vec<u8>) -> Result<Self, ItemError> {
        check(&encoded)?;
        let id = Id::from(sha1_smol::Sha1::from(&encoded).digest().bytes());
        Ok(Self { id, encoded: encoded.into(), signed: None })
    }

    /// A mutable item, of a bencoded value: its id is the SHA-1 of its key and salt, and these bytes
    /// are signed.
    ///
    /// ```
    /// use ed25519_dalek::{Signer, SigningKey};
    /// use grape_engine::{Item, Signed, signable};
    ///
    /// let key = SigningKey::from_bytes(&[7; 32]);
    /// let version = |seq: i64, value: &[u8]| {
    ///     let signature = key.sign(&signable(b"door", seq, value)).to_bytes();
    ///     let key = key.verifying_key().to_bytes();
    ///     Item::mutable(value.to_vec(), Signed { key, signature, seq, salt: b"door".to_vec() })
    /// };
    /// let (first, second) = (version(1, b"6:closed")?, version(2, b"4:open")?);
    /// assert_eq!(first.id(), second.id());
    /// assert!(first.seq() < second.seq());
    /// # Ok::<(), grape_engine::ItemError>(())
    /// ```
    ///
    /// # Errors
    /// When it is no value, or one that is too long or too deep, when the salt is too long, or the
    /// signature is not the key's.
    pub fn mutable(encoded: Vec<u8>, signed: Signed) -> Result<Self, ItemError> {
        if signed.salt.len() > MAX_SALT {
            return Err(ItemError::SaltTooBig);
        }
        check(&encoded)?;
        let key = VerifyingKey::from_bytes(&signed.key).map_err(|_| ItemError::InvalidSignature)?;
        key.verify_strict(
            &signable(&signed.salt, signed.seq, &encoded),
            &Signature::from_bytes(&signed.signature),
        )
        .map_err(|_| ItemError::InvalidSignature)?;
        let salt = (!signed.salt.is_empty()).then_some(signed.salt.as_slice());
        let id = MutableItem::target_from_key(&signed.key, salt);
        Ok(Self { id, encoded: encoded.into(), signed: Some(Box::new(signed)) })
    }

    /// A mutable item, of fields as they come from the wire; `salt` is not always among them.
    ///
    /// # Errors
    /// As [`Item::mutable`], and when key or signature have not the right length.
    pub(crate) fn from_fields(
        encoded: Vec<u8>,
        signed: &SignedFields<'_>,
        salt: &[u8],
    ) -> Result<Self, ItemError> {
        let key = signed.key.as_ref().try_into().map_err(|_| ItemError::InvalidSignature)?;
        let signature =
            signed.signature.as_ref().try_into().map_err(|_| ItemError::InvalidSignature)?;
        Self::mutable(encoded, Signed { key, signature, seq: signed.seq, salt: salt.to_vec() })
    }

    /// Where the item is stored in the DHT.
    pub fn id(&self) -> Id {
        self.id
    }

    /// What the item says, as bencode, just as its author wrote it.
    pub fn encoded(&self) -> &[u8] {
        &self.encoded
    }

    /// What the item says. Of a key that is there twice, the last value.
    pub fn value(&self) -> Value<'_> {
        // It was checked when the item was made.
        read_value(&self.encoded).unwrap_or(Value::List(Vec::new()))
    }

    /// Who signed it, when it is mutable.
    pub fn signed(&self) -> Option<&Signed> {
        self.signed.as_deref()
    }

    /// The version of a mutable item.
    pub fn seq(&self) -> Option<i64> {
        self.signed.as_ref().map(|signed| signed.seq)
    }
}

/// The bytes that a mutable item's signature covers (BEP 44).
pub fn signable(salt: &[u8], seq: i64, encoded_value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(encoded_value.len() + salt.len() + 40);
    if !salt.is_empty() {
        bytes.extend_from_slice(format!("4:salt{}:", salt.len()).as_bytes());
        bytes.extend_from_slice(salt);
    }
    bytes.extend_from_slice(format!("3:seqi{seq}e1:v").as_bytes());
    bytes.extend_from_slice(encoded_value);
    bytes
}

/// A value as bencode.
///
/// ```
/// use grape_engine::{Value, encode};
///
/// let value = Value::List(vec![Value::Integer(1), Value::Bytes(b"two".as_slice().into())]);
/// assert_eq!(encode(&value)?, b"li1e3:twoe");
/// # Ok::<(), grape_engine::ItemError>(())
/// ```
///
/// # Errors
/// When it is nested deeper than [`MAX_DEPTH`].
pub fn encode(value: &Value<'_>) -> Result<Vec<u8>, ItemError> {
    let mut encoder = Encoder::new().with_max_depth(MAX_DEPTH);
    encoder.emit_with(|e| value.encode(e)).map_err(|_| ItemError::TooDeep)?;
    encoder.get_output().map_err(|_| ItemError::TooDeep)
}

/// Nothing is made of what may be refused: a value can be lists in lists in lists.
fn check(encoded: &[u8]) -> Result<(), ItemError> {
    let length = match value_depth(encoded).ok_or(ItemError::NoValue)? {
        0 => read_value(encoded).map_or(0, |value| match value {
            Value::Bytes(bytes) => bytes.len(),
            _ => encoded.len(),
        }),
        depth if depth > MAX_DEPTH => return Err(ItemError::TooDeep),
        _ => encoded.len(),
    };
    if length > MAX_VALUE { Err(ItemError::TooBig) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_item_is_the_bytes_of_its_author() {
        let unsorted = b"d1:bi1e1:ali2eee".to_vec();
        let item = Item::immutable(unsorted.clone()).unwrap();
        assert_eq!(item.id(), Id::from(sha1_smol::Sha1::from(&unsorted).digest().bytes()));
        assert_eq!(item.encoded(), unsorted);
        assert_eq!(encode(&item.value().into_owned()).unwrap(), b"d1:ali2ee1:bi1ee");
    }

    #[test]
    fn invalid_items_are_refused() {
        let nested = |levels| [b"l".repeat(levels), b"e".repeat(levels)].concat();
        Item::immutable(nested(MAX_DEPTH)).unwrap();
        Item::immutable([b"999:", &b"x".repeat(999)[..]].concat()).unwrap();
        for (encoded, error) in [
            (nested(MAX_DEPTH + 1), ItemError::TooDeep),
            (nested(1000), ItemError::NoValue),
            ([b"1000:", &b"x".repeat(1000)[..]].concat(), ItemError::TooBig),
            ([b"l996:", &b"x".repeat(996)[..], b"e"].concat(), ItemError::TooBig),
            (b"i03e".to_vec(), ItemError::NoValue),
            (b"i3ee".to_vec(), ItemError::NoValue),
        ] {
            assert_eq!(Item::immutable(encoded), Err(error));
        }
    }
}
