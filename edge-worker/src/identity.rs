//! Who is asking: tokens, keys, claims, roles.

pub mod fault;
pub mod members;
pub mod claims;
pub mod ready_rsa;
pub mod keys;
pub mod verifier;
pub mod roles;
pub mod reference;
pub mod uuid;
pub mod digests;
#[cfg(test)]
pub mod forge;
