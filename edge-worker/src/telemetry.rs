//! Names, records and figures: what the edge tells its operators about itself.

pub mod labels;
pub mod security_events;
pub mod metrics;
pub mod log;
