//! Which posts of a crew are to have a worker: the first `n_open` of them, but for those that are dormant.
//!
//! Workers read on the board how many are open, and leave where theirs is none of them; the program reads there how many are
//! dormant ([`crate::board`]).

use std::io;

use super::{Crew, Post};
use crate::board::{Ordering, WorkerIndex, WorkerRecord};

impl Crew<'_> {
    /// Opens posts and forks workers for them, or closes posts: who stands there leaves when its task is done. Where a worker
    /// cannot be forked, those forked for the others leave again, and as many posts are open as before.
    pub(in crate::supervisor) fn resize(&mut self, n_workers: u32, now: u64) -> io::Result<()> {
        let n_before = self.n_open;
        self.board.take_places(n_workers);
        self.open((n_workers as usize).min(self.posts.len()));
        let newly_open = self.vacant().map(|(place, _)| place);
        let newly_open: Vec<usize> = newly_open.filter(|&place| place >= n_before).collect();
        // Whether there will be a worker or not.
        let records = newly_open.iter().map(|&place| WorkerIndex(place as u16));
        records
            .filter_map(|index| self.board.worker(index))
            .for_each(WorkerRecord::prepare);
        let filled = newly_open
            .into_iter()
            .try_for_each(|place| self.fork(place, now));
        if filled.is_err() {
            self.open(n_before);
        }
        filled?;
        // A process has its task from the start.
        self.begin_watch(now);
        Ok(())
    }

    pub(super) fn open(&mut self, n_open: usize) {
        self.n_open = n_open;
        self.tell_open();
        for post in &mut self.posts[n_open..] {
            post.is_dormant = false;
        }
        self.board.wake_all_workers();
        // For one of those that leave, perhaps.
        self.rouse_if_queued();
    }

    pub(super) fn tell_open(&self) {
        let n_open = if self.stopping { 0 } else { self.n_open as u32 };
        let word = &self.board.header().n_open;
        word.store(n_open, Ordering::Release);
    }

    /// The posts that are to have a worker and have none.
    pub(super) fn vacant(&self) -> impl Iterator<Item = (usize, &Post)> {
        let open = self.posts[..self.n_open].iter().enumerate();
        open.filter(|(_, post)| post.worker.is_none() && !post.is_over && !post.is_dormant)
    }

    /// Has a worker come to a dormant post, if there is one.
    pub(in crate::supervisor) fn rouse(&mut self) {
        if let Some(post) = self.posts.iter_mut().find(|post| post.is_dormant) {
            post.is_dormant = false;
        }
        self.tell_dormant();
    }

    /// Whoever was to find what waits may have retired, or left, or died.
    pub(super) fn rouse_if_queued(&mut self) {
        if self.tell_dormant() > 0 && self.board.has_queued() {
            self.rouse();
        }
    }

    pub(super) fn tell_dormant(&self) -> usize {
        let n_dormant = self.posts.iter().filter(|post| post.is_dormant).count();
        self.board.header().dormant.say(n_dormant as u32);
        n_dormant
    }
}
