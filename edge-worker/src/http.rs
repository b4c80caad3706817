//! HTTP/1.1 as bytes: parsing, bodies, encoding, header rules. Sans-io: nothing here reads or writes a
//! socket.

pub mod method;
pub mod target;
pub mod head;
pub mod body;
pub mod header_rules;
pub mod encode;
pub mod problem_body;
