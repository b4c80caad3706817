//! TEMPORARY stand-in with the region's signatures, as far as the identity code needs them; replaced at merge.
pub mod words;
pub mod token_cache;

/// Both halves of the region.
pub struct SupervisorRegion(&'static Shared);

#[derive(Default)]
pub struct Shared {
    pub token_cache: token_cache::TokenCache,
}

#[derive(Debug)]
pub struct RegionFault;

impl SupervisorRegion {
    pub fn create() -> Result<Self, RegionFault> {
        Ok(SupervisorRegion(Box::leak(Box::default())))
    }

    pub fn shared(&self) -> &'static Shared {
        self.0
    }
}
