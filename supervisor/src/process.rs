//! Processes: the plan, and the hands that carry it out.

pub mod plan;
pub mod reactor;
pub mod worker_link;
pub mod reaper;
pub mod listeners;
pub mod signals;
pub mod notify;
pub mod log;
pub mod hardening;
pub mod names;
pub mod handover;
pub mod sys;
pub mod spawn;
