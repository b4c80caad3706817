//! Who is asking: tokens, keys, claims, roles.

pub mod fault;
