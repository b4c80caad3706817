//! The region.
pub mod words;
pub mod token_cache;
