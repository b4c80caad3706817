//! The region.
