//! Callers of auth-service, which knows who a user is, and venue-service, which knows who works where
//! (`platform.md` section 5).
//!
//! Every answer is typed, and one rule holds in all of them: what a service really said is a decision, whatever
//! else happens is an [`outage::Outage`], which never denies anybody by itself.

pub mod auth_service;
pub mod venue_service;
pub mod asker;
pub mod credential;
pub mod hmac;
pub mod service_jwt;
pub mod caller;
pub mod connector;
pub mod patience;
pub mod circuit;
pub mod single_flight;
pub mod outage;
pub mod templates;

#[cfg(test)]
pub(crate) mod scripted;
