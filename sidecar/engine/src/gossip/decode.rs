//! Datagrams to messages. Never panics, whatever the bytes, and keeps no more than a datagram has.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use super::encode::{EXPIRES, FRESH, IPV6, NAMED, PARTS};
use super::limits::{MAX_DATAGRAM, MAX_GOSSIP_VALUE, MAX_KEY};
use super::message::{
    Body, Change, Delta, DigestEntry, FIRST_BYTE, Header, Kind, MAX_EXPIRY, Message, PART, Suspect,
    VERSION,
};
use super::name::{NAME_KEY, is_name};

/// A datagram that is no message of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

type Read<T> = Result<T, Malformed>;

/// What is left to be read.
struct Reader<'a>(&'a [u8]);

/// A datagram's message.
///
/// # Errors
/// It is too long, cut off, of another version, or breaks a rule of the format.
pub(super) fn decode(datagram: &[u8]) -> Read<Message> {
    if datagram.len() > MAX_DATAGRAM {
        return Err(Malformed);
    }
    let mut reader = Reader(datagram);
    let header = reader.header()?;
    let known = u16::from_be_bytes(reader.array()?);
    let digest = reader.list(Reader::entry)?;
    let suspects = reader.list(Reader::suspect)?;
    let deltas = reader.list(Reader::delta)?;
    if !reader.0.is_empty() {
        return Err(Malformed);
    }
    Ok(Message { header, known, digest, suspects, deltas })
}

impl<'a> Reader<'a> {
    fn bytes(&mut self, count: usize) -> Read<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count).ok_or(Malformed)?;
        self.0 = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    fn byte(&mut self) -> Read<u8> {
        let [byte] = self.array()?;
        Ok(byte)
    }

    fn number(&mut self) -> Read<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            // The tenth byte has one bit to say.
            if shift == 63 && bits > 1 {
                return Err(Malformed);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Malformed)
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Read<T> {
        T::try_from(self.number()?).map_err(|_| Malformed)
    }

    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Read<T>) -> Read<Vec<T>> {
        (0..self.byte()?).map(|_| read(self)).collect()
    }

    /// The flags before an address, and the address.
    fn addr(&mut self) -> Read<(u8, SocketAddr)> {
        let flags = self.byte()?;
        let ip = if flags & IPV6 == 0 {
            IpAddr::from(self.array::<4>()?)
        } else {
            IpAddr::from(self.array::<16>()?)
        };
        let port = u16::from_be_bytes(self.array()?);
        Ok((flags, SocketAddr::new(ip, port)))
    }

    fn header(&mut self) -> Read<Header> {
        let [first, version, kind, flags] = self.array()?;
        if (first, version) != (FIRST_BYTE, VERSION) {
            return Err(Malformed);
        }
        let kinds = [Kind::Syn, Kind::SynAck, Kind::Challenge, Kind::Ack];
        let kind = kinds.into_iter().find(|known| known.code() == kind).ok_or(Malformed)?;
        let network = self.array()?;
        Ok(Header {
            kind,
            network: (flags & NAMED != 0).then_some(network),
            group: self.array()?,
            generation: u64::from_be_bytes(self.array()?),
            heartbeat: u32::from_be_bytes(self.array()?),
            yours: self.array()?,
            mine: self.array()?,
        })
    }

    fn entry(&mut self) -> Read<DigestEntry> {
        let (flags, addr) = self.addr()?;
        Ok(DigestEntry {
            addr,
            generation: self.number()?,
            heartbeat: self.small()?,
            version: self.number()?,
            collected: self.number()?,
            parts: if flags & PARTS == 0 { None } else { Some((self.number()?, self.byte()?)) },
        })
    }

    fn suspect(&mut self) -> Read<Suspect> {
        let (_, addr) = self.addr()?;
        Ok(Suspect { addr, generation: self.number()?, heartbeat: self.small()? })
    }

    fn delta(&mut self) -> Read<Delta> {
        let (flags, addr) = self.addr()?;
        let delta = Delta {
            addr,
            generation: self.number()?,
            from: self.number()?,
            to: self.number()?,
            collected: self.number()?,
            fresh: flags & FRESH != 0,
            changes: self.list(Reader::change)?,
        };
        if is_in_order(&delta) { Ok(delta) } else { Err(Malformed) }
    }

    fn change(&mut self) -> Read<Change> {
        let kind = self.byte()?;
        let length = usize::from(self.byte()?);
        if length > MAX_KEY {
            return Err(Malformed);
        }
        let key = str::from_utf8(self.bytes(length)?).map_err(|_| Malformed)?.into();
        let version = self.number()?;
        let expires_in =
            if kind & EXPIRES == 0 { None } else { Some(Duration::from_millis(self.number()?)) };
        if expires_in.is_some_and(|left| left > MAX_EXPIRY) {
            return Err(Malformed);
        }
        let body = match kind & !EXPIRES {
            0 => Body::Set(self.value(MAX_GOSSIP_VALUE)?),
            1 => Body::Unset,
            2 => {
                let body = Body::Part {
                    total: self.small()?,
                    index: self.byte()?,
                    bytes: self.value(PART)?,
                };
                if is_part(&body) { body } else { return Err(Malformed) }
            }
            _ => return Err(Malformed),
        };
        let change = Change { key, version, expires_in, body };
        if *change.key == *NAME_KEY && !is_name(&change) { Err(Malformed) } else { Ok(change) }
    }

    fn value(&mut self, longest: usize) -> Read<Arc<[u8]>> {
        let length = self.small::<usize>()?;
        if length > longest { Err(Malformed) } else { Ok(self.bytes(length)?.into()) }
    }
}

/// Whether a part has the length that its place in the value demands.
fn is_part(body: &Body) -> bool {
    let Body::Part { total, index, bytes } = body else { return false };
    let (total, start) = (usize::from(*total), usize::from(*index) * PART);
    total <= MAX_GOSSIP_VALUE && start < total && bytes.len() == (total - start).min(PART)
}

/// Whether the versions grow from above `from` up to `to`, and a part is alone.
fn is_in_order(delta: &Delta) -> bool {
    if let [Change { version, body: Body::Part { .. }, .. }] = &*delta.changes {
        return *version > delta.from && delta.to == delta.from;
    }
    let mut last = delta.from;
    let in_order = delta.changes.iter().all(|change| {
        let grows = change.version > last && !matches!(change.body, Body::Part { .. });
        last = change.version;
        grows
    });
    in_order && last <= delta.to
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
