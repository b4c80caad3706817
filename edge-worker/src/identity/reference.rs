//! `docs/reference/identity.md`: the roles, and the reasons of a 401, from their tables.

use super::fault::TokenFault;
use super::roles::Role;
use std::fmt::Write;

/// The page.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Roles, and the reasons of a 401

Generated from `edge-worker/src/identity`; `FLOODGATE_BLESS=1 cargo test --test docs` rewrites it.
`docs/authentication.md` says how they are used.

## Roles

`*` is every permission. A role that is not in the table is a `customer`; the four roles of a venue never open a
`venue` row, whoever holds them for the whole platform.

| role | permissions |
|---|---|
",
    );
    for role in Role::ALL {
        let permissions: Vec<String> =
            role.permissions().iter().map(|permission| format!("`{permission}`")).collect();
        writeln!(page, "| `{}` | {} |", role.name(), permissions.join(" ")).expect(INFALLIBLE);
    }
    page.push_str(
        "
## Reasons

In the order in which they are checked: `reason` of the answer, `error_description` of `WWW-Authenticate`.

| reason | what the client is told |
|---|---|
",
    );
    for fault in TokenFault::ALL {
        writeln!(page, "| `{}` | {} |", fault.word(), fault.detail()).expect(INFALLIBLE);
    }
    page
}

const INFALLIBLE: &str = "a String takes everything";
