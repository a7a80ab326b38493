//! Which client a request comes from, also behind a proxy.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::IpNet;

/// The bits of an IPv6 address that name a site. A client usually has all addresses below them.
const IPV6_SITE_BITS: u32 = 64;

/// The address that the bounds of one client apply to. Handlers get it as an extension of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientAddress(IpAddr);

impl ClientAddress {
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            // One client could otherwise have a bound for each of its 2^64 addresses.
            IpAddr::V6(address) => {
                let site = u128::from(address) >> IPV6_SITE_BITS << IPV6_SITE_BITS;
                IpAddr::V6(Ipv6Addr::from(site))
            }
            address => address,
        })
    }
}

impl std::fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// The proxies whose `X-Forwarded-For` is believed.
#[derive(Clone, Debug, Default)]
pub struct TrustedProxies(Vec<IpNet>);

impl TrustedProxies {
    pub const fn new(networks: Vec<IpNet>) -> Self {
        Self(networks)
    }

    pub fn has(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }

    /// The client behind a connection from `peer`. `forwarded` has the values of `X-Forwarded-For`, in the
    /// order of the request.
    pub fn client<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a str>,
    ) -> ClientAddress {
        let mut client = peer;
        // From the right: each proxy appends the address that it saw, and a client can invent everything
        // further to the left.
        let mut addresses = forwarded.rev().flat_map(|value| value.rsplit(','));
        while self.has(client) {
            let Some(address) = addresses.next().and_then(|text| text.trim().parse().ok()) else {
                break;
            };
            client = address;
        }
        ClientAddress::new(client)
    }
}

/// Reads an address (`10.0.0.7`) or a network (`10.0.0.0/8`).
pub fn parse_network(text: &str) -> Result<IpNet, String> {
    let address = text.parse::<IpAddr>().map(IpNet::from);
    address.or_else(|_| text.parse()).map_err(|_| {
        format!("{text} is neither an IP address nor a network; examples: 127.0.0.1, 10.0.0.0/8")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted = trusted.iter().map(|text| parse_network(text).unwrap()).collect();
        let forwarded = forwarded.iter().copied();
        TrustedProxies::new(trusted).client(peer.parse().unwrap(), forwarded).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_can_name_another_client() {
        assert_eq!(client(&[], "127.0.0.1", &["1.2.3.4"]), "127.0.0.1");
        assert_eq!(client(&["10.0.0.0/8"], "127.0.0.1", &["1.2.3.4"]), "127.0.0.1");
        assert_eq!(client(&["127.0.0.1"], "127.0.0.1", &["1.2.3.4"]), "1.2.3.4");
        assert_eq!(client(&["127.0.0.1"], "::ffff:127.0.0.1", &["1.2.3.4"]), "1.2.3.4");
    }

    #[test]
    fn the_last_address_that_is_no_trusted_proxy_counts() {
        let trusted = ["127.0.0.1", "10.0.0.0/8"];
        assert_eq!(client(&trusted, "127.0.0.1", &["6.6.6.6, 1.2.3.4, 10.1.1.1"]), "1.2.3.4");
        assert_eq!(client(&trusted, "127.0.0.1", &["6.6.6.6, 1.2.3.4", "10.1.1.1"]), "1.2.3.4");
    }

    #[test]
    fn without_a_readable_address_the_proxy_is_the_client() {
        for forwarded in [&[] as &[&str], &[""], &["unknown"], &["1.2.3.4, nobody"]] {
            assert_eq!(client(&["127.0.0.1"], "127.0.0.1", forwarded), "127.0.0.1");
        }
    }

    #[test]
    fn the_addresses_of_one_ipv6_site_are_one_client() {
        assert_eq!(client(&[], "2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::");
        assert_eq!(client(&[], "::ffff:1.2.3.4", &[]), "1.2.3.4");
    }
}
