//! Classifies an address: public, or reachable only from this machine and its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

pub const LOCALHOST: &str = "localhost";

/// The part of the network that an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Zone {
    Public,
    ThisMachine,
    Private,
    LinkLocal,
    /// Documentation, multicast, or unassigned.
    Reserved,
}

impl Zone {
    pub(super) fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => embedded(address).map_or_else(|| of_v6(address), of_v4),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Zone {
    match address.octets() {
        [0 | 127, ..] => Zone::ThisMachine,
        // The last two are carrier-grade NAT and network benchmarks.
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] | [198, 18 | 19, ..] => {
            Zone::Private
        }
        // The last one is Azure's platform address, for its own virtual machines.
        [169, 254, ..] | [168, 63, 129, 16] => Zone::LinkLocal,
        [192, 0, 0 | 2, _] | [198, 51, 100, _] | [203, 0, 113, _] | [224..=255, ..] => Zone::Reserved,
        _ => Zone::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Zone {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => Zone::ThisMachine,
        // Unique local, its predecessor, and the NAT64 prefix for private networks.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Zone::Private,
        [0xfe80..=0xfebf, ..] => Zone::LinkLocal,
        // Teredo, benchmarks, ORCHID and its successor, documentation, discard-only, segment routing.
        [0xff00..=0xffff | 0x5f00, ..]
        | [0x2001, 0 | 0x10..=0x2f | 0xdb8, ..]
        | [0x2001, 2, 0, ..]
        | [0x3fff, 0..=0xfff, ..]
        | [0x100, 0, 0, 0, ..] => Zone::Reserved,
        _ => Zone::Public,
    }
}

/// The IPv4 address that an IPv6 address leads to: mapped, compatible, translated, NAT64, 6to4, ISATAP.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [.., high, low] = address.segments();
    let (high, low) = match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return None,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            (high, low)
        }
        [0x2002, high, low, ..] => (high, low),
        [first, _, _, _, 0 | 0x200, 0x5efe, ..] if first & 0xffc0 != 0xfe80 => (high, low),
        _ => return None,
    };
    Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
}

/// Whether the address is this machine's own, by name or number. A resolver decides what a name below `localhost`
/// is, and some ask the network.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == LOCALHOST,
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_localhost_and_its_own_numbers_alone() {
        for (url, wanted) in [
            ("http://localhost:8080/", true),
            ("http://LOCALHOST/", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]/", true),
            ("http://portal.localhost/", false),
            ("http://localhost.example/", false),
            ("http://notlocalhost/", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&url.parse().unwrap()), wanted, "{url}");
        }
    }

    #[test]
    fn addresses_that_only_this_machine_and_its_neighbours_reach_are_known_in_every_notation() {
        for (addresses, zone) in [
            (
                "127.0.0.1 127.9.9.9 0.0.0.0 :: ::1 ::ffff:127.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::7f00:1 2002:7f00:1::",
                Zone::ThisMachine,
            ),
            (
                "10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.100.100.200 fc00::1 fd00:ec2::254 fec0::1 2a05:d000::5efe:a00:1 2a05:d000::200:5efe:a00:1 \
                 ::ffff:10.0.0.1 ::10.0.0.1 64:ff9b::a00:1 64:ff9b:1::a00:1 2002:a00:1::",
                Zone::Private,
            ),
            (
                "169.254.169.254 168.63.129.16 ::ffff:169.254.169.254 fe80::1 febf::1 fe80::5efe:102:304",
                Zone::LinkLocal,
            ),
            (
                "224.0.0.1 255.255.255.255 192.0.2.1 ff02::1 2001:db8::1 2001::1 3fff::1 3fff:fff::1 100::1 5f00::1 2001:10::1 \
                 2001:1f::1 2001:20::1 2001:2f::1 2001:2::1",
                Zone::Reserved,
            ),
            (
                "52.219.0.1 172.32.0.1 100.128.0.1 2a05:d000::1 3fff:1000::1 2001:30::1 100:0:0:1::1 2a05:d000::5efe:34db:1 ::ffff:52.219.0.1 64:ff9b::34db:1",
                Zone::Public,
            ),
        ] {
            for address in addresses.split_whitespace() {
                assert_eq!(Zone::of(address.parse().unwrap()), zone, "{address}");
            }
        }
    }
}
