//! Where a map's items come from: an iterator of the caller's, of which nothing is believed.
//!
//! It is asked for no more items than are wanted and never again after its end, and no memory is touched on its word.

use crate::sys;

/// The caller's iterator, and whether it has ended: it is not asked again after that.
pub(super) struct Source<I> {
    items: I,
    pub(super) ended: bool,
}

impl<I: Iterator> Source<I> {
    pub(super) fn new(items: I) -> Self {
        Self {
            items,
            ended: false,
        }
    }

    /// Appends the next `n_items` items, or as many as there are.
    pub(super) fn pull(&mut self, n_items: usize, to: &mut Vec<I::Item>) {
        // The vector reserves what the iterator promises, and an iterator may promise anything.
        const STEP: usize = 1024;
        let end = to.len() + n_items;
        while to.len() < end && !self.ended {
            let next_end = end.min(to.len() + STEP);
            to.extend(self.items.by_ref().take(next_end - to.len()));
            self.ended = to.len() < next_end;
        }
    }

    /// Ends; returns how many items are left, as far as that is known without asking for them, or whether there is one.
    ///
    /// To ask for items only to count them may take for ever, and what is promised in such numbers is no promise.
    pub(super) fn end(&mut self, is_one_enough: bool) -> usize {
        const MOST: usize = 1 << 24;
        if std::mem::replace(&mut self.ended, true) {
            return 0;
        }
        match self.items.size_hint() {
            _ if is_one_enough => usize::from(self.items.next().is_some()),
            (least, Some(most)) if least == most && most <= MOST => most,
            _ => 0,
        }
    }

    pub(super) fn get_mut(&mut self) -> &mut I {
        &mut self.items
    }

    pub(super) fn remaining(&self) -> Option<usize> {
        self.items.size_hint().1
    }

    /// An empty vector with room for something of each item.
    ///
    /// As many as are promised: what is many bytes is reserved and not touched, and a vector that grows by doubling would leave its
    /// huge pages behind. An iterator may promise anything: what there is no room for, or is more than this, grows as usual.
    pub(super) fn vec_for_each<T>(&self) -> Vec<T> {
        const MOST_BYTES: usize = 1 << 30;
        let most = MOST_BYTES / size_of::<T>().max(1);
        let mut vec = Vec::new();
        if vec
            .try_reserve_exact(self.items.size_hint().0.min(most))
            .is_ok()
        {
            sys::ask_for_huge_pages(vec.spare_capacity_mut());
        }
        vec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Promises more than there is, and starts again after its end.
    struct Liar {
        next: u32,
        n_ends: u32,
    }

    impl Iterator for Liar {
        type Item = u32;

        fn next(&mut self) -> Option<u32> {
            assert_eq!(self.n_ends, 0, "asked after its end");
            self.next += 1;
            if self.next.is_multiple_of(2000) {
                self.n_ends += 1;
                return None;
            }
            Some(self.next)
        }

        fn size_hint(&self) -> (usize, Option<usize>) {
            (usize::MAX, None)
        }
    }

    #[test]
    fn what_is_left_is_counted_without_asking_for_it() {
        let left = |items: &mut dyn Iterator<Item = u32>| Source::new(items).end(false);
        assert_eq!(left(&mut (0..7).map(|_| unreachable!())), 7);
        assert_eq!(left(&mut (0..7).filter(|_| unreachable!())), 0, "unknown");
        assert_eq!(
            left(&mut std::iter::repeat_with(|| unreachable!())),
            0,
            "endless"
        );
        assert_eq!(
            left(&mut std::iter::repeat_n(0, 1 << 40)),
            0,
            "as good as endless"
        );
        assert_eq!(Source::new(0..7).end(true), 1);
        let mut ended = Source::new(0..1);
        ended.pull(2, &mut Vec::new());
        assert_eq!(ended.end(false), 0);
    }

    #[test]
    fn room_is_made_for_what_is_promised_within_reason() {
        assert_eq!(
            Source::new(0..5_000_000_u32)
                .vec_for_each::<u8>()
                .capacity(),
            5_000_000
        );
        assert_eq!(Source::new([0; 7].iter()).vec_for_each::<()>().len(), 0);
        let promised_too_much = Source::new(std::iter::repeat(0)).vec_for_each::<[u8; 4096]>();
        assert!(promised_too_much.capacity() <= 1 << 18);
    }

    #[test]
    fn an_iterator_is_neither_believed_nor_asked_after_its_end() {
        let mut items = Source::new(Liar { next: 0, n_ends: 0 });
        let mut pulled = Vec::new();
        items.pull(5, &mut pulled);
        assert_eq!((pulled.len(), items.items.next), (5, 5));
        items.pull(usize::MAX - 5, &mut pulled);
        items.pull(5, &mut pulled);
        assert!(pulled.iter().copied().eq(1..2000));
        assert_eq!((items.ended, items.items.n_ends), (true, 1));
    }
}
