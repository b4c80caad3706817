//! Processes: the plan, and the hands that carry it out.

pub mod plan;
