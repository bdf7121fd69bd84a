//! Bencode, read as the network writes it.
//!
//! BEP 3 wants a dictionary's keys in order, each once, and numbers without signs or zeros in front.
//! npm's Grapes read all of that in any form, so it is read here: of a key that is there twice, the
//! last value counts, as it does for npm's. A value of BEP 44 is the exception: its bytes are its
//! identity, so the numbers in it have one form; the order of its keys is its author's.
//!
//! `bendy`, with which messages are written, reads nothing whose keys are not in order.

use std::borrow::Cow;

use bendy::value::Value;

use super::Malformed;

/// Deepest nesting that is read, and written: a BEP 44 value of 32 levels, in `a` or `r`, in the
/// message.
pub(super) const MAX_DEPTH: usize = 40;

/// Bencode from its start on. Never panics, whatever the bytes.
#[derive(Debug, Clone)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// One value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Object<'a> {
    Bytes(&'a [u8]),
    /// Its digits, a sign in front perhaps.
    Integer(&'a str),
    /// As it is written.
    List(&'a [u8]),
    /// As it is written.
    Dict(&'a [u8]),
}

enum Token<'a> {
    Bytes(&'a [u8]),
    Integer(&'a str),
    List,
    Dict,
    End,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.rest.len()
    }

    /// Begins a dictionary, if there is one.
    pub(super) fn begin_dict(&mut self) -> bool {
        self.accept(b'd')
    }

    /// Begins a list, if there is one.
    pub(super) fn begin_list(&mut self) -> bool {
        self.accept(b'l')
    }

    fn accept(&mut self, byte: u8) -> bool {
        let rest = self.rest.strip_prefix(&[byte]);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// The next key of a dictionary that was begun; `None` at its end.
    pub(super) fn key(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        match self.token()? {
            Token::Bytes(key) => Ok(Some(key)),
            Token::End => Ok(None),
            _ => Err(Malformed::Bencode),
        }
    }

    /// The next value of a list that was begun; `None` at its end.
    pub(super) fn item(&mut self) -> Result<Option<Object<'a>>, Malformed> {
        if self.accept(b'e') { Ok(None) } else { self.object().map(Some) }
    }

    /// The value that follows.
    pub(super) fn object(&mut self) -> Result<Object<'a>, Malformed> {
        let start = self.rest;
        match self.token()? {
            Token::Bytes(bytes) => Ok(Object::Bytes(bytes)),
            Token::Integer(text) => Ok(Object::Integer(text)),
            Token::End => Err(Malformed::Bencode),
            token => {
                self.pass_rest_of(&token, MAX_DEPTH)?;
                let bytes = &start[..start.len() - self.rest.len()];
                Ok(if matches!(token, Token::Dict) {
                    Object::Dict(bytes)
                } else {
                    Object::List(bytes)
                })
            }
        }
    }

    /// The bytes of the value that follows.
    pub(super) fn raw(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.rest;
        self.object()?;
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// Passes over what is left of a value that begins with this token.
    fn pass_rest_of(&mut self, token: &Token<'a>, depth: usize) -> Result<(), Malformed> {
        let depth = depth.checked_sub(1).ok_or(Malformed::Bencode)?;
        match token {
            Token::Bytes(_) | Token::Integer(_) => {}
            Token::End => return Err(Malformed::Bencode),
            Token::List => {
                while !self.accept(b'e') {
                    let token = self.token()?;
                    self.pass_rest_of(&token, depth)?;
                }
            }
            Token::Dict => {
                while self.key()?.is_some() {
                    let token = self.token()?;
                    self.pass_rest_of(&token, depth)?;
                }
            }
        }
        Ok(())
    }

    fn token(&mut self) -> Result<Token<'a>, Malformed> {
        let (first, rest) = self.rest.split_first().ok_or(Malformed::Bencode)?;
        let (token, rest) = match first {
            b'd' => (Token::Dict, rest),
            b'l' => (Token::List, rest),
            b'e' => (Token::End, rest),
            b'i' => {
                let (text, rest) = number(rest, b'e')?;
                (Token::Integer(text), rest)
            }
            b'0'..=b'9' => {
                let (length, rest) = number(self.rest, b':')?;
                let length = length.parse().map_err(|_| Malformed::Bencode)?;
                let (bytes, rest) = rest.split_at_checked(length).ok_or(Malformed::Bencode)?;
                (Token::Bytes(bytes), rest)
            }
            _ => return Err(Malformed::Bencode),
        };
        self.rest = rest;
        Ok(token)
    }
}

/// Digits up to `end`, a sign in front perhaps; and what follows.
fn number(bytes: &[u8], end: u8) -> Result<(&str, &[u8]), Malformed> {
    let sign = usize::from(matches!(bytes.first(), Some(b'-' | b'+')));
    let digits = bytes[sign..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (text, rest) = bytes.split_at(sign + digits);
    let rest = rest.strip_prefix(&[end]).filter(|_| digits > 0).ok_or(Malformed::Bencode)?;
    Ok((str::from_utf8(text).map_err(|_| Malformed::Bencode)?, rest))
}

/// How deep lists and dictionaries are nested in a value of BEP 44: whole, its numbers in their one
/// form, its integers of 64 bits; 0 in a value that is neither. `None` if it is anything else, or
/// nested deeper than a message may be.
pub fn value_depth(bytes: &[u8]) -> Option<usize> {
    let mut reader = Reader::new(bytes);
    let depth = depth_in_one_form(&mut reader, MAX_DEPTH)?;
    (reader.left() == 0).then_some(depth)
}

fn depth_in_one_form(reader: &mut Reader<'_>, most: usize) -> Option<usize> {
    let most = most.checked_sub(1)?;
    let mut deepest = 0;
    if reader.begin_list() {
        while !reader.accept(b'e') {
            deepest = deepest.max(depth_in_one_form(reader, most)?);
        }
        return Some(1 + deepest);
    }
    if reader.begin_dict() {
        while key_in_one_form(reader)?.is_some() {
            deepest = deepest.max(depth_in_one_form(reader, most)?);
        }
        return Some(1 + deepest);
    }
    let before = reader.clone();
    let in_one_form = match reader.object().ok()? {
        Object::Bytes(_) => is_plain(&before),
        Object::Integer(text) => text.parse::<i64>().is_ok() && is_plain_integer(text),
        Object::List(_) | Object::Dict(_) => false,
    };
    in_one_form.then_some(0)
}

/// A value of BEP 44. `None` if it is anything else, as [`value_depth`] has it.
pub fn read_value(bytes: &[u8]) -> Option<Value<'_>> {
    value_depth(bytes)?;
    value(&mut Reader::new(bytes))
}

fn value<'a>(reader: &mut Reader<'a>) -> Option<Value<'a>> {
    if reader.begin_list() {
        let mut list = Vec::new();
        while !reader.accept(b'e') {
            list.push(value(reader)?);
        }
        return Some(Value::List(list));
    }
    if reader.begin_dict() {
        let mut dict = std::collections::BTreeMap::new();
        while let Some(key) = reader.key().ok()? {
            dict.insert(Cow::Borrowed(key), value(reader)?);
        }
        return Some(Value::Dict(dict));
    }
    match reader.object().ok()? {
        Object::Bytes(bytes) => Some(Value::Bytes(bytes.into())),
        Object::Integer(text) => text.parse().ok().map(Value::Integer),
        Object::List(_) | Object::Dict(_) => None,
    }
}

fn key_in_one_form<'a>(reader: &mut Reader<'a>) -> Option<Option<&'a [u8]>> {
    let plain = reader.rest.first() == Some(&b'e') || is_plain(reader);
    reader.key().ok().filter(|_| plain)
}

/// Whether an integer has no plus in front, nor zeros.
fn is_plain_integer(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    text == "0" || !digits.starts_with(['+', '0'])
}

/// Whether the length of the byte string that follows has no zeros in front.
fn is_plain(reader: &Reader<'_>) -> bool {
    !matches!(reader.rest, [b'0', b'0'..=b'9', ..])
}
