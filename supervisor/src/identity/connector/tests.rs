//! Names of endpoints.

use super::*;

#[test]
fn a_name_says_which_instance_at_which_address() {
    let mut seen = std::collections::BTreeSet::new();
    for address in ["10.0.0.1:80", "10.0.0.1:8080", "10.0.0.2:80", "[::1]:80", "[fd00::1]:65535"] {
        for instance in [0, 1, 31] {
            let listed = Listed { instance, address: address.parse().expect("an address") };
            let uri: Uri = format!("http://{}/path?a=1", name(listed)).parse().expect("a host name");
            assert_eq!(uri.host().and_then(named), Some(listed));
            assert!(seen.insert(name(listed)), "{listed:?}");
        }
    }
    for wrong in ["", "localhost", "1-2", "1-2-xyz", "256-1-1", "1-65536-1"] {
        assert_eq!(named(wrong), None, "{wrong}");
    }
}
