//! A value that is never printed.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Holds a secret. `Debug` prints `[set]`; the value leaves only through [`Secret::expose`] or the sealed memfd.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(value: T) -> Self {
        Secret(value)
    }

    /// The value. Every call is a place to review.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[set]")
    }
}
