//! The dictionaries `a` and `r`, read into one flat record: the arguments come before the method that
//! gives them meaning.

use super::Malformed;
use super::bencode::{Object, Reader, value_depth};

/// What `a` or `r` held. A field of the wrong kind is as one that is missing, but noted in
/// `invalid`.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) addr: Option<&'a [u8]>,
    pub(super) alt: Option<Alt<'a>>,
    pub(super) by: Vec<&'a [u8]>,
    pub(super) cas: Option<i64>,
    pub(super) depth: Option<i64>,
    pub(super) dp: Option<&'a [u8]>,
    pub(super) id: Option<&'a [u8]>,
    pub(super) implied_port: Option<i64>,
    pub(super) info_hash: Option<&'a [u8]>,
    pub(super) ip: Option<&'a [u8]>,
    pub(super) k: Option<&'a [u8]>,
    pub(super) nodes: Option<&'a [u8]>,
    pub(super) nodes6: Option<&'a [u8]>,
    pub(super) port: Option<i64>,
    pub(super) salt: Option<&'a [u8]>,
    pub(super) seq: Option<i64>,
    pub(super) sig: Option<&'a [u8]>,
    pub(super) target: Option<&'a [u8]>,
    pub(super) token: Option<&'a [u8]>,
    pub(super) ttl: Option<Ttl<'a>>,
    pub(super) v: Option<&'a [u8]>,
    pub(super) values: Vec<&'a [u8]>,
    pub(super) want: Vec<&'a [u8]>,
    pub(super) watch: Option<i64>,
    pub(super) invalid: Option<&'static str>,
}

/// `ttl` is a number in a query, and a byte string in an answer.
#[derive(Debug)]
pub(super) enum Ttl<'a> {
    Milliseconds(i64),
    Each(&'a [u8]),
}

/// `alt` is a number in a query, and a byte string in an answer.
#[derive(Debug)]
pub(super) enum Alt<'a> {
    Flag(i64),
    Each(&'a [u8]),
}

impl<'a> Fields<'a> {
    /// Nothing where there is no dictionary.
    pub(super) fn read(reader: &mut Reader<'a>) -> Result<Option<Self>, Malformed> {
        if !reader.begin_dict() {
            return reader.object().map(|_| None);
        }
        let mut fields = Self::default();
        while let Some(key) = reader.key()? {
            if key == b"v" {
                let value = reader.raw()?;
                // An integer beyond 64 bits is bencode, but no value that anybody here can hold.
                fields.v = value_depth(value).is_some().then_some(value);
                if fields.v.is_none() {
                    fields.invalid = Some("v");
                }
                continue;
            }
            let object = reader.object()?;
            match key {
                b"addr" => fields.addr = fields.bytes("addr", object),
                b"alt" => {
                    fields.alt = match object {
                        Object::Bytes(bytes) => Some(Alt::Each(bytes)),
                        other => fields.integer("alt", other).map(Alt::Flag),
                    }
                }
                b"by" => fields.by = fields.list("by", object)?,
                b"cas" => fields.cas = fields.integer("cas", object),
                b"depth" => fields.depth = fields.integer("depth", object),
                b"dp" => fields.dp = fields.bytes("dp", object),
                b"id" => fields.id = fields.bytes("id", object),
                b"implied_port" => fields.implied_port = fields.integer("implied_port", object),
                b"info_hash" => fields.info_hash = fields.bytes("info_hash", object),
                b"ip" => fields.ip = fields.bytes("ip", object),
                b"k" => fields.k = fields.bytes("k", object),
                b"nodes" => fields.nodes = fields.bytes("nodes", object),
                b"nodes6" => fields.nodes6 = fields.bytes("nodes6", object),
                b"port" => fields.port = fields.integer("port", object),
                b"salt" => fields.salt = fields.bytes("salt", object),
                b"seq" => fields.seq = fields.integer("seq", object),
                b"sig" => fields.sig = fields.bytes("sig", object),
                b"target" => fields.target = fields.bytes("target", object),
                b"token" => fields.token = fields.bytes("token", object),
                b"ttl" => {
                    fields.ttl = match object {
                        Object::Bytes(bytes) => Some(Ttl::Each(bytes)),
                        other => fields.integer("ttl", other).map(Ttl::Milliseconds),
                    }
                }
                b"values" => fields.values = fields.list("values", object)?,
                b"want" => fields.want = fields.list("want", object)?,
                b"watch" => fields.watch = fields.integer("watch", object),
                _ => {}
            }
        }
        Ok(Some(fields))
    }

    fn bytes(&mut self, name: &'static str, object: Object<'a>) -> Option<&'a [u8]> {
        match object {
            Object::Bytes(bytes) => Some(bytes),
            _ => self.refuse(name),
        }
    }

    fn integer(&mut self, name: &'static str, object: Object<'a>) -> Option<i64> {
        match object {
            Object::Integer(text) => text.parse().ok().or_else(|| self.refuse(name)),
            _ => self.refuse(name),
        }
    }

    /// The byte strings of a list; what else it holds is passed over.
    fn list(&mut self, name: &'static str, object: Object<'a>) -> Result<Vec<&'a [u8]>, Malformed> {
        match object {
            Object::List(list) => byte_strings(list),
            _ => {
                self.invalid = Some(name);
                Ok(Vec::new())
            }
        }
    }

    fn refuse<T>(&mut self, name: &'static str) -> Option<T> {
        self.invalid = Some(name);
        None
    }
}

fn byte_strings(list: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut reader = Reader::new(list);
    reader.begin_list();
    let mut strings = Vec::new();
    while let Some(object) = reader.item()? {
        if let Object::Bytes(bytes) = object {
            strings.push(bytes);
        }
    }
    Ok(strings)
}
