//! Request methods that exist at the edge, and sets of them.

use serde::{Deserialize, Serialize};

/// A method of the route table. CONNECT and TRACE have no member: they are refused before routing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[repr(u8)]
pub enum Method {
    Get,
    Head,
    Post,
    Put,
    Patch,
    Delete,
    Options,
}

impl Method {
    pub const ALL: [Method; 7] =
        [Self::Get, Self::Head, Self::Post, Self::Put, Self::Patch, Self::Delete, Self::Options];

    /// Methods are case-sensitive (RFC 9110 section 9.1).
    #[must_use]
    pub fn parse(token: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.as_str().as_bytes() == token)
    }

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
            Self::Options => "OPTIONS",
        }
    }

    /// Reads, in the platform's sense: GET and HEAD.
    #[must_use]
    pub fn is_read(self) -> bool {
        matches!(self, Self::Get | Self::Head)
    }
}

/// A set of methods, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodSet(u8);

impl MethodSet {
    pub const NONE: MethodSet = MethodSet(0);
    pub const READ: MethodSet = MethodSet::of(&[Method::Get, Method::Head]);
    pub const WRITE: MethodSet = MethodSet::of(&[Method::Post, Method::Put, Method::Patch, Method::Delete]);
    pub const ANY: MethodSet = MethodSet(Self::READ.0 | Self::WRITE.0);

    #[must_use]
    pub const fn of(methods: &[Method]) -> Self {
        let mut bits = 0;
        let mut index = 0;
        while index < methods.len() {
            bits |= 1 << methods[index] as u8;
            index += 1;
        }
        MethodSet(bits)
    }

    #[must_use]
    pub const fn contains(self, method: Method) -> bool {
        self.0 & (1 << method as u8) != 0
    }

    #[must_use]
    pub const fn union(self, other: MethodSet) -> Self {
        MethodSet(self.0 | other.0)
    }

    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Method> {
        Method::ALL.into_iter().filter(move |method| self.contains(*method))
    }
}
