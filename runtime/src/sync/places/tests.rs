use super::*;

/// Past the largest pid of any Linux.
const DEAD: u64 = 1 << 55;

#[test]
fn places_are_taken_found_and_freed() {
    let places = Places::default();
    assert_eq!((places.own(0), places.used().len()), (None, 0));
    assert_eq!((places.take(7), places.take(8)), (Some(0), Some(1)));
    assert_eq!((places.own(8), places.own(9)), (Some(1), None));
    assert_eq!(places.own_or_take(7), Some(0));
    places.at(0).n.store(3, Ordering::Relaxed);
    places.at(1).n.store(u32::MAX, Ordering::Relaxed);
    assert_eq!((places.sum(7), places.sum(8)), (3, u32::MAX));
    places.free(0);
    assert_eq!((places.sum(7), places.own(7)), (0, None));
    assert_eq!(places.own_or_take(9), Some(0));
    assert_eq!(places.dead().count(), 0);
}

#[test]
fn a_dead_ones_place_is_cleared_once() {
    let places = Places::default();
    let place = places.take(0).unwrap();
    places.at(place).who.store(DEAD, Ordering::Relaxed);
    assert_eq!(places.dead().collect::<Vec<_>>(), [(place, DEAD)]);
    places.clear(place, DEAD);
    assert_eq!(places.take(1), Some(place));
    places.clear(place, DEAD);
    assert_eq!(places.own(1), Some(place));
}

#[test]
fn a_place_that_is_cleared_is_nobodys_and_a_dead_ones_again_if_that_process_dies() {
    let places = Places::default();
    let place = places.take(7).unwrap();
    places.at(place).n.store(3, Ordering::Relaxed);
    places.at(place).who.store(DEAD, Ordering::Relaxed);
    assert!(places.adopt(place, DEAD) && !places.adopt(place, DEAD));
    assert_eq!((places.own(7), places.dead().count()), (None, 0));
    let died_too = DEAD | CLEARS;
    places.at(place).who.store(died_too, Ordering::Relaxed);
    assert_eq!(places.dead().collect::<Vec<_>>(), [(place, died_too)]);
    places.clear(place, died_too);
    assert_eq!((places.sum(7), places.take(8)), (0, Some(place)));
}

#[test]
fn a_full_table_has_no_place_more_and_no_number_leads_out_of_it() {
    let places = Places::default();
    for place in 0..N_PLACES {
        assert_eq!(places.take(0), Some(place));
    }
    assert_eq!(places.take(0), None);
    places.n_used.store(u32::MAX, Ordering::Relaxed);
    assert_eq!(places.used().len(), N_PLACES);
    places.free(usize::MAX);
}
