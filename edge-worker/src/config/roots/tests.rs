//! Files of certificates: good ones, and every way in which one can be bad.

use super::super::sample::{self, DEVELOPMENT, Scratch};
use super::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyPair};

fn authority() -> String {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key can be made");
    params.self_signed(&key).expect("it is complete").pem()
}

#[test]
fn every_certificate_of_the_file_reaches_the_workers() {
    let scratch = Scratch::new();
    let both = format!("# ours\n{}\n{}", authority(), authority());
    let path = scratch.file("ca.pem", &both);
    let settings = sample::loaded(DEVELOPMENT, &[("UPSTREAM_CA_FILE", &path)]).settings;
    assert_eq!(settings.worker.roots.len(), 2);
    let sent = serde_json::to_string(&settings.worker.roots).expect("they can be written");
    let received: Vec<Root> = serde_json::from_str(&sent).expect("and read");
    assert_eq!(received, settings.worker.roots);
    assert_eq!(sample::loaded(DEVELOPMENT, &[]).settings.worker.roots, []);
}

#[test]
fn a_file_that_is_not_whole_is_a_problem() {
    let scratch = Scratch::new();
    let good = authority();
    let nonsense = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let many = good.repeat(CERTIFICATES_MAX + 1);
    let key = KeyPair::generate().expect("a key can be made").serialize_pem();
    for (content, what) in [
        ("", "names a file without a certificate"),
        (key.as_str(), "names a file without a certificate"),
        ("-----BEGIN CERTIFICATE-----\nAAAA", "names a file whose PEM is broken at certificate 1"),
        (
            &format!("{good}-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"),
            "names a file whose PEM is broken at certificate 2",
        ),
        (
            &format!("{good}{nonsense}"),
            "names a file whose certificate 2 is none that could vouch for anybody",
        ),
        (&many, "names a file of 513 certificates, more than 512"),
    ] {
        let path = scratch.file("ca.pem", content);
        let problems = sample::problems(DEVELOPMENT, &[("UPSTREAM_CA_FILE", &path)]);
        assert_eq!(problems, [format!("UPSTREAM_CA_FILE: {what}; {REMEDY}")]);
    }
    let problems = sample::problems(DEVELOPMENT, &[("UPSTREAM_CA_FILE", "/nowhere/at/all")]);
    let what = "names a file that cannot be read (entity not found)";
    assert_eq!(problems, [format!("UPSTREAM_CA_FILE: {what}; {REMEDY}")]);
}

#[test]
fn what_is_no_base64_is_no_root() {
    assert!(serde_json::from_str::<Root>("\"*\"").is_err());
    assert!(serde_json::from_str::<Root>("[1]").is_err());
}
