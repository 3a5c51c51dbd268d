//! Processes that write at random where they may.

use super::*;
use crate::sys::testing::watched;
