//! The only room that calls the kernel.
