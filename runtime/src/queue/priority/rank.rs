//! Priorities as numbers in an order that every process can tell without any code of theirs.

use std::cmp::Reverse;

/// What messages of a [`PriorityQueue`](crate::PriorityQueue) can be ordered by: integers, floating-point numbers in the order of
/// `total_cmp`, [`Reverse`] of these, for the highest first, and what one makes into numbers oneself.
///
/// ```
/// use procession::{Rank, PriorityQueue};
///
/// #[derive(Clone, Copy, Debug, PartialEq)]
/// enum Urgency { Now, Later }
///
/// impl Rank for Urgency {
///     fn to_rank(self) -> u64 {
///         self as u64
///     }
///     fn from_rank(rank: u64) -> Self {
///         if rank == 0 { Self::Now } else { Self::Later }
///     }
/// }
///
/// let queue = PriorityQueue::new()?;
/// queue.put(Urgency::Later, "tidy up".to_owned())?;
/// queue.put(Urgency::Now, "put out the fire".to_owned())?;
/// assert_eq!(queue.get()?, (Urgency::Now, "put out the fire".to_owned()));
/// # Ok::<(), procession::Error>(())
/// ```
pub trait Rank: Copy {
    /// A number; the smallest is the first to be got.
    fn to_rank(self) -> u64;

    /// The priority of which [`to_rank`](Self::to_rank) has made this number.
    fn from_rank(rank: u64) -> Self;
}

macro_rules! ranked {
    ($($number:ty, $rank:ident => $to:expr, $from:expr;)+) => {$(
        impl Rank for $number {
            fn to_rank(self) -> u64 {
                let $rank = self;
                $to
            }
            fn from_rank($rank: u64) -> Self {
                $from
            }
        }
    )+};
}

/// The sign of a number of 64 bits: without it the negative ones come first.
const SIGN: u64 = 1 << 63;

ranked! {
    u8, n => n.into(), n as Self;
    u16, n => n.into(), n as Self;
    u32, n => n.into(), n as Self;
    u64, n => n, n;
    usize, n => n as u64, n as Self;
    i8, n => n as i64 as u64 ^ SIGN, (n ^ SIGN) as Self;
    i16, n => n as i64 as u64 ^ SIGN, (n ^ SIGN) as Self;
    i32, n => n as i64 as u64 ^ SIGN, (n ^ SIGN) as Self;
    i64, n => n as u64 ^ SIGN, (n ^ SIGN) as Self;
    isize, n => n as u64 ^ SIGN, (n ^ SIGN) as Self;
    f64, n => of_float(n.to_bits()), Self::from_bits(to_float(n));
    f32, n => of_float(u64::from(n.to_bits()) << 32), Self::from_bits((to_float(n) >> 32) as u32);
}

/// Of two negative numbers the one with the higher bits is the lower.
fn of_float(bits: u64) -> u64 {
    if bits & SIGN == 0 { bits ^ SIGN } else { !bits }
}

fn to_float(rank: u64) -> u64 {
    if rank & SIGN == 0 { !rank } else { rank ^ SIGN }
}

impl<P: Rank> Rank for Reverse<P> {
    fn to_rank(self) -> u64 {
        !self.0.to_rank()
    }

    fn from_rank(rank: u64) -> Self {
        Self(P::from_rank(!rank))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    #[track_caller]
    fn keeps_order<P: Rank + PartialEq + Debug>(ascending: &[P]) {
        let ranks: Vec<_> = ascending.iter().map(|it| it.to_rank()).collect();
        assert!(ranks.is_sorted_by(|one, other| one < other), "{ranks:?}");
        let again: Vec<P> = ranks.into_iter().map(P::from_rank).collect();
        assert_eq!(again, ascending);
    }

    #[test]
    fn numbers_keep_their_order_and_come_back() {
        keeps_order(&[0_u8, 1, u8::MAX]);
        keeps_order(&[0_u64, 1, u64::MAX]);
        keeps_order(&[i8::MIN, -1, 0, 1, i8::MAX]);
        keeps_order(&[i32::MIN, -1, 0, 1, i32::MAX]);
        keeps_order(&[i64::MIN, -1, 0, 1, i64::MAX]);
        let (low, high) = (f64::NEG_INFINITY, f64::INFINITY);
        keeps_order(&[low, -1.5, -f64::MIN_POSITIVE, 0.0, 0.1, 2.0, high]);
        keeps_order(&[f32::MIN, -1.5, 0.0, 0.1, f32::MAX]);
        keeps_order(&[Reverse(9_usize), Reverse(1), Reverse(0)]);
    }
}
