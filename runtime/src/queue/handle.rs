//! A queue as a handle: cloned, sent, dropped.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Queue;
use super::message::Message;
use super::ring::Ring;
use crate::shared::travel;

/// With the last handle of all, handles in messages that nobody has got are let go.
impl<T> Drop for Queue<T> {
    fn drop(&mut self) {
        let block = self.ring.block();
        if !block.keeps_names_alone() {
            return;
        }
        let at_once = Some(std::time::Instant::now());
        let mut message = Message::default();
        // An error is the end of a queue that was closed.
        while let Ok(true) = self.ring.take(&mut message, at_once) {
            travel::recall_unread(block.id(), &message);
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Self {
            ring: self.ring.clone(),
            messages: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// Means something only on the way to a job, from one, or in a queue.
impl<T> Serialize for Queue<T> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        travel::serialize(self.ring.block(), to)
    }
}

impl<'de, T> Deserialize<'de> for Queue<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let block: Arc<_> = travel::deserialize(Self::label(), from)?;
        Ok(Self {
            ring: Ring::of(block).map_err(D::Error::custom)?,
            messages: PhantomData,
        })
    }
}
