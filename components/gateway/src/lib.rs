//! The codecs: bytes of a protocol to a `Call`, payloads back to bytes. Pure:
//! no I/O, no clock, no randomness; the host links it as a library and the
//! Spin front door will run the same code in a sandbox.
//!
//! Reading order: `call` (the types), then the bindings.

pub mod call;
