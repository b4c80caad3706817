//! `UPSTREAM_CA_FILE`: certificate authorities that vouch for services and for `JWKS_URI`, beside the system's.

use super::environment::read_text;
use super::limits::{CERTIFICATES_MAX, CONFIGURATION_FILE_BYTES_MAX};
use super::lookup::Lookup;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::path::Path;

/// The certificate of an authority, in DER.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Root(CertificateDer<'static>);

impl Root {
    #[must_use]
    pub fn new(certificate: CertificateDer<'static>) -> Root {
        Root(certificate)
    }

    #[must_use]
    pub fn certificate(&self) -> CertificateDer<'_> {
        CertificateDer::from(self.0.as_ref())
    }
}

/// In base64: a list of numbers would be three times as long, and a system has a hundred of them.
impl Serialize for Root {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Root {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Root, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = STANDARD.decode(text).map_err(|_| D::Error::custom("a root that is not base64"))?;
        Ok(Root(bytes.into()))
    }
}

const VARIABLE: &str = "UPSTREAM_CA_FILE";
const REMEDY: &str = "name a file of certificates in PEM";

/// The certificates of the file; none if it is not set, or not good, which is then reported.
pub(super) fn read(lookup: &mut Lookup) -> Vec<Root> {
    let Some(path) = lookup.text(VARIABLE).map(ToOwned::to_owned) else { return Vec::new() };
    let text = read_text(Path::new(&path), CONFIGURATION_FILE_BYTES_MAX);
    let roots = text.map_err(|what| format!("names a file that {what}")).and_then(|text| parse(&text));
    roots.unwrap_or_else(|what| {
        lookup.refuse(VARIABLE, what, REMEDY);
        Vec::new()
    })
}

/// Every certificate must be usable: one that is left out in silence is missed at night.
fn parse(text: &str) -> Result<Vec<Root>, String> {
    let mut store = RootCertStore::empty();
    let mut roots = Vec::new();
    for (found, number) in CertificateDer::pem_slice_iter(text.as_bytes()).zip(1..) {
        let certificate =
            found.map_err(|_| format!("names a file whose PEM is broken at certificate {number}"))?;
        store.add(certificate.clone()).map_err(|_| {
            format!("names a file whose certificate {number} is none that could vouch for anybody")
        })?;
        roots.push(Root(certificate));
    }
    match roots.len() {
        0 => Err("names a file without a certificate".to_owned()),
        1..=CERTIFICATES_MAX => Ok(roots),
        more => Err(format!("names a file of {more} certificates, more than {CERTIFICATES_MAX}")),
    }
}

#[cfg(test)]
mod tests;
