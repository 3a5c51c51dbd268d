//! The program's private books of the arena: which bytes of it are in use. What is small lies in no arena but in its row.
//!
//! First fit from the front, so that pages once touched are used again; before that, for the small, what was given back
//! last, which is found at once and still in the cache. Nothing of this lies in shared memory:
//! no worker can make the program hand out the same bytes twice.

use std::collections::BTreeMap;

use crate::board::{ALIGN, Span, round_up};

/// Spans of up to so many times [`ALIGN`] bytes count as small.
const SMALL: usize = 16;

/// Of each small size, no more are kept apart from the other free ones.
const MOST_RECENT: usize = 1024;

/// Hands out and takes back spans of `area`.
#[derive(Debug)]
pub(super) struct Arena {
    area: Span,
    /// Start and length of each free piece; no two of them touch.
    free: BTreeMap<u64, u64>,
    /// Where small spans start that were given back and not joined to their neighbours yet, by their size, latest last.
    recent: [Vec<u64>; SMALL],
    /// The end of the bytes that have had their pages reserved.
    ensured: u64,
}

impl Arena {
    pub(super) fn new(area: Span) -> Self {
        Self {
            area,
            free: BTreeMap::from([(area.offset, area.len)]),
            recent: Default::default(),
            ensured: area.offset,
        }
    }

    /// The longest span it could ever hand out.
    pub(super) fn capacity(&self) -> u64 {
        self.area.len
    }

    /// Whether a span of `len` bytes is free.
    pub(super) fn has(&mut self, len: u64) -> bool {
        let span = self.allocate(len);
        if let Some(span) = span {
            self.give_back(span);
        }
        span.is_some()
    }

    /// A span of at least `len` bytes, its length a multiple of [`ALIGN`]; `None` while there is no room.
    pub(super) fn allocate(&mut self, len: u64) -> Option<Span> {
        let len = round_up(len, ALIGN);
        if len == 0 {
            return Some(Span::new(self.area.offset, 0));
        }
        if let Some(offset) = self.recent(len).and_then(Vec::pop) {
            return Some(Span::new(offset, len));
        }
        self.take_first(len).or_else(|| {
            self.join_recent();
            self.take_first(len)
        })
    }

    /// Takes back what [`allocate`](Self::allocate) gave.
    pub(super) fn give_back(&mut self, span: Span) {
        if span.len == 0 {
            return;
        }
        match self.recent(span.len) {
            Some(recent) if recent.len() < MOST_RECENT => recent.push(span.offset),
            _ => self.join(span),
        }
    }

    fn recent(&mut self, len: u64) -> Option<&mut Vec<u64>> {
        self.recent.get_mut((len / ALIGN) as usize - 1)
    }

    fn take_first(&mut self, len: u64) -> Option<Span> {
        let (&offset, &free) = self.free.iter().find(|&(_, &free)| free >= len)?;
        self.free.remove(&offset);
        if free > len {
            self.free.insert(offset + len, free - len);
        }
        Some(Span::new(offset, len))
    }

    fn join_recent(&mut self) {
        for (place, recent) in std::mem::take(&mut self.recent).into_iter().enumerate() {
            let len = (place as u64 + 1) * ALIGN;
            recent
                .into_iter()
                .for_each(|offset| self.join(Span::new(offset, len)));
        }
    }

    /// Makes one piece of it and its free neighbours.
    fn join(&mut self, span: Span) {
        let (mut offset, mut len) = (span.offset, span.len);
        if let Some((&before, &before_len)) = self.free.range(..offset).next_back()
            && before + before_len == offset
        {
            (offset, len) = (before, before_len + len);
        }
        if let Some(after_len) = self.free.remove(&(span.offset + span.len)) {
            len += after_len;
        }
        self.free.insert(offset, len);
    }

    /// What has to have its pages reserved before `span` is used: in growing steps, so that it is rarely any.
    pub(super) fn unensured(&self, span: Span) -> Option<Span> {
        let end = span.offset + span.len;
        let grown =
            self.ensured + ((self.ensured - self.area.offset) / 4).clamp(64 << 10, 64 << 20);
        let wanted = end.max(grown).min(self.area.offset + self.area.len);
        (end > self.ensured).then(|| Span::new(self.ensured, wanted - self.ensured))
    }

    pub(super) fn set_ensured(&mut self, span: Span) {
        self.ensured = span.offset + span.len;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_given_back_joins_its_neighbours() {
        let mut arena = Arena::new(Span::new(4096, 640));
        let spans: Vec<_> = (0..10).map(|_| arena.allocate(1).unwrap()).collect();
        assert_eq!(arena.allocate(1), None);
        for place in [1, 3, 2, 0, 9, 5, 7, 8, 6, 4] {
            arena.give_back(spans[place]);
        }
        arena.join_recent();
        assert_eq!(arena.free.len(), 1);
        assert_eq!(arena.allocate(640), Some(Span::new(4096, 640)));
    }

    #[test]
    fn what_was_given_back_last_is_handed_out_first_where_it_is_small() {
        let mut arena = Arena::new(Span::new(0, 64 * 1024));
        let spans = [(); 3].map(|()| arena.allocate(100).unwrap());
        arena.give_back(spans[0]);
        arena.give_back(spans[2]);
        assert_eq!(arena.allocate(128), Some(spans[2]));
        assert_eq!(arena.allocate(65), Some(spans[0]));
        arena.give_back(spans[1]);
        assert_ne!(arena.allocate(64), Some(spans[1]), "of another size");
    }

    #[test]
    fn no_byte_is_handed_out_twice() {
        let mut arena = Arena::new(Span::new(0, 64 * 1024));
        let mut held: Vec<Span> = Vec::new();
        let mut seed = 1_u64;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            if seed >> 63 == 0 || held.is_empty() {
                let Some(new) = arena.allocate((seed >> 33) % 5000) else {
                    continue;
                };
                let apart = |old: &Span| {
                    old.offset + old.len <= new.offset || new.offset + new.len <= old.offset
                };
                assert!(new.len == 0 || held.iter().all(apart));
                held.push(new);
            } else {
                let place = (seed >> 33) as usize % held.len();
                arena.give_back(held.swap_remove(place));
            }
        }
        held.into_iter().for_each(|span| arena.give_back(span));
        assert_eq!(arena.allocate(64 * 1024), Some(Span::new(0, 64 * 1024)));
    }

    proptest! {
        #[test]
        fn what_it_says_it_has_it_gives_within_its_area_and_on_pages_asked_for(
            lens in prop::collection::vec((0_u64..300_000, any::<prop::sample::Index>(), any::<bool>()), 1..100),
        ) {
            let area = Span::new(8192, 1 << 20);
            let mut arena = Arena::new(area);
            let (mut held, mut ensured) = (Vec::new(), area.offset);
            for (len, place, give_back) in lens {
                if give_back && !held.is_empty() {
                    arena.give_back(held.swap_remove(place.index(held.len())));
                }
                let has = arena.has(len);
                let span = arena.allocate(len);
                prop_assert_eq!(span.is_some(), has);
                let Some(span) = span else { continue };
                prop_assert!(area.contains(span) && span.len >= len && span.offset.is_multiple_of(ALIGN));
                if let Some(fresh) = arena.unensured(span) {
                    prop_assert_eq!(fresh.offset, ensured, "no page is left out or asked for twice");
                    prop_assert!(area.contains(fresh));
                    arena.set_ensured(fresh);
                    ensured = fresh.offset + fresh.len;
                }
                prop_assert!(len == 0 || span.offset + span.len <= ensured);
                held.push(span);
            }
            let n_bytes: u64 = held.iter().map(|span| span.len).sum();
            arena.join_recent();
            prop_assert_eq!(arena.free.values().sum::<u64>(), area.len - n_bytes);
            held.into_iter().for_each(|span| arena.give_back(span));
            prop_assert_eq!(arena.allocate(area.len), Some(area));
        }
    }
}
