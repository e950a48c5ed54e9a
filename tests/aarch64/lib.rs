//! The kernels of the decoder and what walks by them, with their tests: `make test-aarch64`.
#![allow(dead_code)]

#[path = "."]
pub mod decode {
    #[path = "../../consumer/decode/bits/mod.rs"]
    pub mod bits;
    #[path = "../../consumer/decode/json/scalar.rs"]
    pub mod scalar;
    #[path = "../../consumer/decode/json/ways.rs"]
    pub mod ways;
}
