//! Whose address a request comes from: the peer's, unless a trusted proxy vouches for another.

use ipnet::IpNet;
use std::net::IpAddr;
use std::str;

/// Hops of a forwarding chain that are looked at; a longer one is not believed.
const HOPS_MAX: usize = 32;

/// The client, and what may be said about it to the services.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub client: IpAddr,
    /// The peer is a trusted proxy: its X-Forwarded-Proto and -Host are believed.
    pub trusted: bool,
    /// Trusted proxies between the client and us, nearest to the client first, the peer last.
    pub hops: Vec<IpAddr>,
}

/// Walks the X-Forwarded-For fields from the right, through trusted proxies only, to the first address that is
/// not one: everything further left is the client's invention. An entry that is no address ends the walk at the
/// proxy that sent it.
pub fn client<'v>(fields: impl Iterator<Item = &'v [u8]>, peer: IpAddr, trusted: &[IpNet]) -> Claimed {
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(&address));
    if !is_trusted(peer) {
        return Claimed { client: peer, trusted: false, hops: Vec::new() };
    }
    let mut client = peer;
    let mut hops = Vec::new();
    let fields: Vec<&[u8]> = fields.collect();
    let entries = fields.into_iter().rev().flat_map(|field| field.rsplit(|byte| *byte == b','));
    for entry in entries.take(HOPS_MAX) {
        let Some(address) = parse_address(entry) else { break };
        hops.insert(0, client);
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    Claimed { client, trusted: true, hops }
}

/// An address as proxies write it: bare, with a port, or an IPv6 address in brackets.
fn parse_address(entry: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    if let Some(bracketed) = text.strip_prefix('[') {
        let (address, _) = bracketed.split_once(']')?;
        return address.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    }
    let (address, _) = text.rsplit_once(':')?;
    address.parse().ok().filter(IpAddr::is_ipv4)
}

#[cfg(test)]
mod tests;
