//! The whole against real Redis servers: two nodes, and what can happen between them.

mod servers;
mod consistency;
mod cache;
mod topologies;
