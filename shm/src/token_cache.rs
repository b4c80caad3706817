//! TEMPORARY stand-in with the contract's signatures; replaced at merge.

use crate::words::{Text, WorkerSlot};
use std::sync::Mutex;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CachedToken {
    pub sub: Text<128>,
    pub tenant: Text<64>,
    pub jti: Text<64>,
    pub role: u16,
    pub permissions: PermissionIds,
    pub issued_at: i64,
    pub not_before: i64,
    pub expires_at: i64,
    pub key: u64,
    pub settings: u64,
}

pub const PERMISSIONS_MAX: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermissionIds {
    count: u8,
    ids: [u16; PERMISSIONS_MAX],
}

impl PermissionIds {
    pub fn new(ids: &[u16]) -> Option<PermissionIds> {
        let mut all = [0; PERMISSIONS_MAX];
        all.get_mut(..ids.len())?.copy_from_slice(ids);
        Some(PermissionIds { count: u8::try_from(ids.len()).ok()?, ids: all })
    }

    pub fn as_slice(&self) -> &[u16] {
        &self.ids[..usize::from(self.count)]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placed {
    Stored,
    Evicted,
    Busy,
}

#[derive(Default)]
pub struct TokenCache {
    entries: Mutex<Vec<([u8; 32], CachedToken)>>,
}

impl TokenCache {
    pub fn find(&self, digest: &[u8; 32]) -> Option<CachedToken> {
        let entries = self.entries.lock().expect("not poisoned");
        entries.iter().find(|entry| entry.0 == *digest).map(|entry| entry.1)
    }

    pub fn store(&self, _slot: WorkerSlot, digest: &[u8; 32], token: &CachedToken, _now_s: i64) -> Placed {
        let mut entries = self.entries.lock().expect("not poisoned");
        entries.retain(|entry| entry.0 != *digest);
        entries.push((*digest, *token));
        Placed::Stored
    }
}
