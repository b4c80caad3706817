//! How each instance is spoken to: as its URL says, for as long as the worker lives, whatever its addresses are.

use super::handshakes::Grievance;
use crate::config::headers::Scheme;
use crate::config::roots::Root;
use crate::config::services::{Instance, Service, ServiceId};
use crate::net::tls::{Trust, Verification};
use std::rc::Rc;

/// What a connection to an instance is.
pub enum Security {
    Plain,
    Tls { trust: Trust, grievance: Grievance },
}

/// Those of all instances, by service and by place.
#[derive(Default)]
pub struct Securities(Vec<Vec<Rc<Security>>>);

/// Why no connection could ever be secure.
#[derive(Debug, thiserror::Error)]
pub enum SecurityFault {
    #[error("TLS cannot be used: {0}")]
    Tls(#[from] rustls::Error),
    #[error("no certificate can name a service's host")]
    Name(#[from] rustls::pki_types::InvalidDnsNameError),
}

impl Securities {
    /// # Errors
    /// See [`SecurityFault`].
    pub fn new(services: &[Service], roots: &[Root]) -> Result<Securities, SecurityFault> {
        let verification = Verification::new(roots)?;
        let of = |instance| Security::of(instance, &verification).map(Rc::new);
        let services = services.iter().map(|service| service.instances.iter().map(of).collect());
        services.collect::<Result<_, _>>().map(Securities)
    }

    /// `None` for an instance that the settings do not have: nothing is said about it, so nothing is sent to it.
    #[must_use]
    pub fn of(&self, service: ServiceId, instance: u8) -> Option<Rc<Security>> {
        self.0.get(usize::from(service.0))?.get(usize::from(instance)).map(Rc::clone)
    }
}

impl Security {
    fn of(instance: &Instance, verification: &Verification) -> Result<Security, SecurityFault> {
        Ok(match instance.scheme {
            Scheme::Http => Security::Plain,
            Scheme::Https => {
                Security::Tls { trust: verification.trust(&instance.host)?, grievance: Grievance::default() }
            }
        })
    }
}
