//! Networks of addresses.

use std::net::IpAddr;

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: u128,
    mask: u128,
    is_v4: bool,
}

impl Network {
    /// Reads `10.0.0.0/8`, `2001:db8::/32` or a single address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().ok()?)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (value, width) = number(address);
        let bits = bits.unwrap_or(width);
        if bits > width {
            return None;
        }
        let mask = if bits == 0 { 0 } else { u128::MAX << (width - bits) };
        Some(Self { address: value & mask, mask, is_v4: address.is_ipv4() })
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        address.is_ipv4() == self.is_v4 && number(address).0 & self.mask == self.address
    }

    /// The first and the last address of a network of IPv4, as numbers.
    pub fn v4_bounds(&self) -> Option<(u32, u32)> {
        let (first, mask) = (self.address as u32, self.mask as u32);
        self.is_v4.then_some((first, first | !mask))
    }
}

fn number(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(u32::from(address)), 32),
        IpAddr::V6(address) => (u128::from(address), 128),
    }
}

/// The network that stands for an address where networks are told apart: /24 of IPv4, /48 of IPv6, which is what one
/// site usually has.
pub fn of_address(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", std::net::Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, address: &str) -> bool {
        Network::parse(network).unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn networks() {
        assert!(contains("10.0.0.0/8", "10.255.1.1") && !contains("10.0.0.0/8", "11.0.0.1"));
        assert!(contains("198.51.100.7", "198.51.100.7") && !contains("198.51.100.7", "198.51.100.8"));
        assert!(contains("0.0.0.0/0", "1.2.3.4") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/32", "2001:db8:1::1") && !contains("2001:db8::/32", "2001:db9::1"));
        assert!(contains("::/0", "2001:db9::1"));
        let bounds = |text| Network::parse(text).unwrap().v4_bounds();
        assert_eq!(bounds("10.1.2.3/8"), Some((0x0a00_0000, 0x0aff_ffff)));
        assert_eq!((bounds("0.0.0.0/0"), bounds("::/0")), (Some((0, u32::MAX)), None));
        for wrong in ["10.0.0.0/33", "10.0.0/8", "x", "", "10.0.0.0/", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(wrong), None, "{wrong}");
        }
        assert_eq!(of_address("198.51.100.7".parse().unwrap()), "198.51.100.0/24");
        assert_eq!(of_address("2001:db8:1:2::7".parse().unwrap()), "2001:db8:1::/48");
    }
}
