//! The messages of a queue one after another.

use super::Queue;
use super::error::QueueError;
use crate::argument::ByValue;

/// The messages of a queue until it is closed and empty, see [`Queue::iter`].
///
/// ```
/// use procession::{Queue, QueueIter};
///
/// let queue = Queue::new()?;
/// queue.put('a')?;
/// queue.close();
/// let mut messages: QueueIter<'_, char> = queue.iter();
/// assert_eq!(messages.next(), Some(Ok('a')));
/// assert_eq!(messages.next(), None);
/// # Ok::<(), procession::Error>(())
/// ```
#[derive(Debug)]
pub struct QueueIter<'q, T> {
    queue: &'q Queue<T>,
    is_over: bool,
}

impl<'q, T> QueueIter<'q, T> {
    pub(super) fn of(queue: &'q Queue<T>) -> Self {
        Self {
            queue,
            is_over: false,
        }
    }
}

impl<T: ByValue> Iterator for QueueIter<'_, T> {
    type Item = Result<T, QueueError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let got = self.queue.get();
        self.is_over = matches!(got, Err(QueueError::Closed | QueueError::System { .. }));
        (!matches!(got, Err(QueueError::Closed))).then_some(got)
    }
}

impl<'q, T: ByValue> IntoIterator for &'q Queue<T> {
    type Item = Result<T, QueueError>;
    type IntoIter = QueueIter<'q, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
