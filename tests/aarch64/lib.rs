//! The kernels of the decoder with their tests: `make test-aarch64`.
#![allow(dead_code)]

#[path = "../../consumer/decode/bits/mod.rs"]
pub mod bits;
