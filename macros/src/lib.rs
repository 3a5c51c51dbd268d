//! The macros of the `procession` crate. Depend on `procession`, which re-exports them.
#![forbid(unsafe_code)]
