//! Connections of the supervisor's own to a service's instances, by names that say where an endpoint is and whom it has
//! to be.

use super::caller::CONNECT_TIMEOUT;
use crate::endpoints::Endpoints;
use crate::line::{Line, Security, Verifier};
use edge_worker::config::services::Service;
use edge_worker::control::endpoint_set::Listed;
use hyper::Uri;
use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::time::timeout;

/// Where services are, and who vouches for them.
#[derive(Clone, Copy)]
pub struct Site<'s> {
    pub verifier: &'s Verifier,
    pub endpoints: &'s Arc<Endpoints>,
}

/// How each instance of a service is called, by its place among them; `None` if it cannot be.
#[derive(Clone)]
pub struct Instances(Arc<[Option<(HeaderValue, Security)>]>);

/// Connects to what [`name`] named.
#[derive(Clone)]
pub struct Connector(pub Instances);

impl Instances {
    #[must_use]
    pub fn new(service: &Service, verifier: &Verifier) -> Instances {
        let called = service.instances.iter().map(|instance| {
            let authority = HeaderValue::from_str(&instance.authority).ok();
            authority.zip(verifier.security(&service.name, instance))
        });
        Instances(called.collect())
    }

    /// What `Host` says to it.
    #[must_use]
    pub fn authority(&self, listed: Listed) -> Option<HeaderValue> {
        self.0.get(usize::from(listed.instance))?.as_ref().map(|called| called.0.clone())
    }

    fn security(&self, listed: Listed) -> Option<Security> {
        self.0.get(usize::from(listed.instance))?.as_ref().map(|called| called.1.clone())
    }
}

/// An endpoint as a host name. Connections are pooled by it: an address alone must not decide whose connection is used
/// again, because it may come to another instance, which has to prove another name.
#[must_use]
pub fn name(listed: Listed) -> String {
    let Listed { instance, address } = listed;
    let bits = match address.ip() {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    };
    format!("{instance}-{}-{bits:x}", address.port())
}

/// What [`name`] named.
fn named(name: &str) -> Option<Listed> {
    let mut parts = name.split('-');
    let (instance, port) = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    let address = Ipv6Addr::from_bits(u128::from_str_radix(parts.next()?, 16).ok()?).to_canonical();
    Some(Listed { instance, address: SocketAddr::new(address, port) })
}

impl tower_service::Service<Uri> for Connector {
    type Response = TokioIo<Line>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<TokioIo<Line>>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let listed = uri.host().and_then(named);
        let called = listed.and_then(|listed| Some((listed.address, self.0.security(listed)?)));
        Box::pin(async move {
            let (address, security) = called.ok_or(io::ErrorKind::NotFound)?;
            Ok(TokioIo::new(timeout(CONNECT_TIMEOUT, Line::open(address, &security)).await??))
        })
    }
}

#[cfg(test)]
mod tests;
