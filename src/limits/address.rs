//! Whose a request is: the peer's address, or the one that the nearest proxy which is trusted saw.
//!
//! `X-Forwarded-For` is read from its right end, where the trusted proxy next to us wrote; what is to the left of the first
//! address that is no trusted proxy was written by the client, or by somebody it made up, and is never looked at.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

const FIELD: &str = "x-forwarded-for";
/// Most hops that are followed.
const HOPS_MAX: usize = 16;

/// What a client is counted by: an IPv4 address, or the /64 of an IPv6 address, which one client has all of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Address(IpAddr);

/// The proxies that are trusted to say whom they speak for.
#[derive(Debug, Clone, Default)]
pub struct Proxies(Vec<IpNet>);

impl Address {
    /// What this address is counted by.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V6(ip) => {
                let network = u128::from(ip) >> 64 << 64;
                Self(Ipv6Addr::from(network).into())
            }
            ip => Self(ip),
        }
    }
}

impl Proxies {
    /// Those in these networks.
    pub fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    /// The client behind `peer`.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.are(client) {
            return client;
        }
        let fields: Vec<&str> = headers
            .get_all(FIELD)
            .iter()
            .map(|value| value.to_str().unwrap_or_default())
            .collect();
        let hops = fields.iter().rev().flat_map(|field| field.rsplit(','));
        for hop in hops.take(HOPS_MAX) {
            let Some(ip) = parse(hop) else {
                // Whatever it is, the proxy that wrote it is the last one that is known.
                return client;
            };
            client = ip;
            if !self.are(client) {
                return client;
            }
        }
        client
    }

    pub(super) fn are(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&ip))
    }
}

/// An address, with a port perhaps.
fn parse(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let ip = bare.unwrap_or(text).parse::<IpAddr>();
    ip.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .map(|ip| ip.to_canonical())
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, fields: &[&str]) -> String {
        let networks = trusted.iter().map(|net| net.parse().expect("a network"));
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(FIELD, field.parse().expect("a field"));
        }
        let proxies = Proxies::new(networks.collect());
        proxies
            .client(peer.parse().expect("an address"), &headers)
            .to_string()
    }

    #[test]
    fn the_rightmost_hop_that_is_not_trusted_is_the_client() {
        let trusted = &["10.0.0.0/8", "2001:db8:1::/48"];
        for (peer, fields, expected) in [
            ("203.0.113.9", &["198.51.100.1"] as &[&str], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
            (
                "10.0.0.1",
                &["1.1.1.1, 198.51.100.1, 10.9.9.9"],
                "198.51.100.1",
            ),
            ("10.0.0.1", &["127.0.0.1,198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["198.51.100.1", "10.2.2.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.1.1.1"], "10.1.1.1"),
            ("10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8:2::1]:80"], "2001:db8:2::1"),
            ("10.0.0.1", &["[2001:db8:2::1]"], "2001:db8:2::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, "], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, é"], "10.0.0.1"),
            ("2001:db8:1::1", &["198.51.100.1"], "198.51.100.1"),
        ] {
            assert_eq!(client(trusted, peer, fields), expected, "{peer} {fields:?}");
        }
        assert_eq!(client(&[], "10.0.0.1", &["198.51.100.1"]), "10.0.0.1");
        let long = vec!["10.1.1.1"; 1_000].join(",");
        assert_eq!(client(trusted, "10.0.0.1", &["1.1.1.1", &long]), "10.1.1.1");
    }

    #[test]
    fn ipv6_is_counted_by_its_64_bits_of_network() {
        let of = |text: &str| Address::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:ffff:ffff:ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.1"));
        assert_ne!(of("192.0.2.1"), of("192.0.2.2"));
    }
}
