//! The mesh from outside: the real binary, driven by its command line and over
//! HTTP, with real agents behind it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on should stop where it stands"
)]

mod access;
mod bad_agents;
mod bad_files;
mod bad_input;
mod bindings;
mod clients;
mod crash;
mod disk;
mod lifecycle;
mod reload;
mod secrets;
mod walk;
