//! RS256 with a key that is made ready once. jsonwebtoken's own verifier makes it anew from its numbers for every
//! token, which is a quarter of what a new token costs.

use aws_lc_rs::signature::{ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents};
use jsonwebtoken::Algorithm;
use jsonwebtoken::crypto::JwtVerifier;
use jsonwebtoken::signature::{Error, Verifier};

/// A public key of RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3), 2048 to 8192 bits.
pub struct ReadyRsa(ParsedPublicKey);

impl ReadyRsa {
    /// Modulus and exponent, big endian; `None` if they are no key.
    #[must_use]
    pub fn new(modulus: &[u8], exponent: &[u8]) -> Option<ReadyRsa> {
        let components = RsaPublicKeyComponents { n: modulus, e: exponent };
        components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).ok().map(ReadyRsa)
    }
}

impl Verifier<Vec<u8>> for ReadyRsa {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> Result<(), Error> {
        self.0.verify_sig(message, signature).map_err(Error::from_source)
    }
}

impl JwtVerifier for ReadyRsa {
    fn algorithm(&self) -> Algorithm {
        Algorithm::RS256
    }
}

#[cfg(test)]
mod tests;
