//! Ids that are bound to addresses (BEP 42): who has one address cannot choose where in the network it
//! is.

use std::net::IpAddr;

use crc::{CRC_32_ISCSI, Crc};
use mainline::Id;

use crate::diversity::public_network;

/// CRC-32C, as BEP 42 has it.
const CASTAGNOLI: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// The bits of an IPv4 address that count.
const V4_MASK: [u8; 4] = [0x03, 0x0f, 0x3f, 0xff];
/// The same of the first half of an IPv6 address: its /64.
const V6_MASK: [u8; 8] = [0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff];
/// The bits of an id's third byte that follow from the address, as all of the two before it do.
const BOUND: u8 = 0xf8;

/// An id for a node at this address, with what is free in it taken from `random`. Private addresses
/// bind nothing: the id is `random` there.
pub fn id_at(ip: IpAddr, random: Id) -> Id {
    if public_network(ip).is_none() {
        return random;
    }
    let mut id = *random.as_bytes();
    let [first, second, third] = prefix(ip, id[19]);
    id[..2].copy_from_slice(&[first, second]);
    id[2] = third | id[2] & !BOUND;
    id.into()
}

/// Whether an id fits the public address of its node.
pub(crate) fn fits(id: &Id, ip: IpAddr) -> bool {
    let id = id.as_bytes();
    [id[0], id[1], id[2] & BOUND] == prefix(ip, id[19])
}

/// The first 21 bits of an id, by its last byte; the rest is zero.
fn prefix(ip: IpAddr, last: u8) -> [u8; 3] {
    let (mut octets, mask) = match ip.to_canonical() {
        IpAddr::V4(v4) => (v4.octets().to_vec(), &V4_MASK[..]),
        IpAddr::V6(v6) => (v6.octets()[..8].to_vec(), &V6_MASK[..]),
    };
    octets.iter_mut().zip(mask).for_each(|(octet, mask)| *octet &= mask);
    octets[0] |= last << 5;
    let [first, second, third, _] = CASTAGNOLI.checksum(&octets).to_be_bytes();
    [first, second, third & BOUND]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    /// The examples of BEP 42.
    #[rstest]
    #[case("124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401")]
    #[case("21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256")]
    #[case("65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616")]
    #[case("84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41")]
    #[case("43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a")]
    fn as_in_bep_42(#[case] ip: IpAddr, #[case] id: Id) {
        assert!(fits(&id, ip));
        assert_eq!(id_at(ip, id), id);
    }

    proptest! {
        #[test]
        fn an_id_fits_its_address_and_few_others(ip: IpAddr, random: [u8; 20], others: [IpAddr; 4]) {
            let id = id_at(ip, random.into());
            if public_network(ip).is_none() {
                prop_assert_eq!(id, Id::from(random));
            } else {
                prop_assert!(fits(&id, ip));
                prop_assert_eq!(&id.as_bytes()[3..], &random[3..]);
                let all_fit = others.iter().all(|other| fits(&id, *other));
                prop_assert!(!all_fit || others.iter().any(|other| public_network(*other) == public_network(ip)));
            }
            // The library knows IPv4.
            if let IpAddr::V4(v4) = ip.to_canonical() && public_network(ip).is_some() {
                prop_assert!(id.is_valid_for_ip(v4));
                prop_assert_eq!(Id::from(random).is_valid_for_ip(v4), fits(&random.into(), ip));
                prop_assert!(fits(&Id::from_ipv4(v4), ip));
            }
        }
    }

    /// A /64 is one host's.
    #[test]
    fn the_second_half_of_an_ipv6_address_is_free() {
        let id = id_at("2a00:1:2:3::1".parse().unwrap(), [7; 20].into());
        assert!(fits(&id, "2a00:1:2:3:ffff::9".parse().unwrap()));
        assert!(!fits(&id, "2a00:1:2:4::1".parse().unwrap()));
    }
}
