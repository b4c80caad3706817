//! Tests of what the demo prints.

use super::{environment, text};
use crate::demo::people::PEOPLE;

#[test]
fn the_guide_names_everybody_and_the_port() {
    let page = text(4321);
    for person in &PEOPLE {
        assert!(page.contains(person.email) && page.contains(person.password), "{}", person.email);
    }
    for word in ["http://127.0.0.1:4321/api/v1/auth/login", "X-Tenant-Id", "/metrics", "Ctrl-C", "/settings"]
    {
        assert!(page.contains(word), "{word} in {page}");
    }
}

#[test]
fn the_environment_can_be_pasted_into_a_shell() {
    let key = "-----BEGIN PUBLIC KEY-----\nabc\n-----END PUBLIC KEY-----\n".to_owned();
    let page = environment(&[("PORT".to_owned(), "1".to_owned()), ("JWT_PUBLIC_KEY".to_owned(), key)]);
    assert!(page.contains("export PORT='1'\n"), "{page}");
    assert!(page.contains("KEY-----'\n"), "{page}");
}
