//! Turns the services' host names into addresses, once, before workers start.

use edge_worker::config::services::{Instance, Service};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// Time for all look-ups together.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(5);

/// Fills the addresses of every instance. A host that does not resolve in time keeps an empty list and is
/// logged: its service answers 503 and all others work.
pub async fn resolve(services: &mut [Service]) {
    let deadline = tokio::time::Instant::now() + RESOLVE_TIMEOUT;
    let mut look_ups = Vec::new();
    for instance in services.iter().flat_map(|service| &service.instances) {
        look_ups.push(tokio::spawn(look_up(instance.host.clone(), instance.port)));
    }
    let mut look_ups = look_ups.into_iter();
    for Service { name, instances, .. } in services {
        for (instance, look_up) in instances.iter_mut().zip(&mut look_ups) {
            let found = tokio::time::timeout_at(deadline, look_up).await;
            settle(name, instance, found.map_err(|_| "no answer in time".to_owned()));
        }
    }
}

type LookUp = Result<Result<Vec<SocketAddr>, std::io::Error>, tokio::task::JoinError>;

fn settle(service: &str, instance: &mut Instance, found: Result<LookUp, String>) {
    let reason = match found {
        Ok(Ok(Ok(addresses))) if !addresses.is_empty() => {
            instance.addresses = addresses;
            return;
        }
        Ok(Ok(Ok(_))) => "no address".to_owned(),
        Ok(Ok(Err(fault))) => fault.to_string(),
        Ok(Err(fault)) => fault.to_string(),
        Err(reason) => reason,
    };
    instance.addresses.clear();
    tracing::warn!(service, host = instance.host, reason, "a service's host cannot be resolved");
}

/// An address stands for itself; brackets around IPv6 are those of the URL.
async fn look_up(host: String, port: u16) -> std::io::Result<Vec<SocketAddr>> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let mut addresses: Vec<SocketAddr> = tokio::net::lookup_host((bare, port)).await?.collect();
    addresses.dedup();
    Ok(addresses)
}

#[cfg(test)]
mod tests;
