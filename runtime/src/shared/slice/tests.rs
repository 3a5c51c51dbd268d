use super::*;
use crate::shared::testing::{Sent, Steps, send};
use crate::sys::testing::{in_child, watched};

const SIGSEGV: i32 = 11;

fn frozen() -> SharedSlice<u32> {
    Array::new(0..3000).unwrap().freeze().unwrap()
}

fn write_through(slice: &SharedSlice<u32>) {
    let first = slice.elements.pointer.as_ptr();
    // SAFETY: no reference is alive, and no write takes place: the pages are protected, which is what is tested.
    unsafe { first.write_volatile(1) };
}

#[test]
fn every_process_reads_the_same_elements_and_none_can_write() {
    watched(|| {
        let slice = frozen();
        let name = Sent::of(&slice);
        in_child(|| assert!(slice.iter().copied().eq(0..3000))).succeeds();
        in_child(|| {
            let slice: SharedSlice<u32> = name.read().unwrap();
            assert!(slice.iter().copied().eq(0..3000));
        })
        .succeeds();
        let inherits = in_child(|| write_through(&slice));
        assert_eq!(inherits.signal(), Some(SIGSEGV));
        let reads = in_child(|| write_through(&name.read().unwrap()));
        assert_eq!(reads.signal(), Some(SIGSEGV));
    });
}

#[test]
fn what_was_leaked_of_a_slice_is_there_in_children() {
    watched(|| {
        let array = Array::new([4_u32, 5]).unwrap();
        let mut old_name = Sent::of(&array);
        old_name.forget();
        let leaked: &'static [u32] = Box::leak(Box::new(array.freeze().unwrap()));
        // A stale handle that arrives later does not hide it.
        let stale: Array<u32> = old_name.read().unwrap();
        in_child(|| {
            assert_eq!(leaked, [4, 5]);
            // Nor does its use in the child.
            assert!(stale.try_lock().is_err());
            assert_eq!(leaked, [4, 5]);
        })
        .succeeds();
    });
}

#[test]
fn a_copy_that_a_child_drops_is_still_there_for_its_parent() {
    watched(|| {
        let slice = std::cell::RefCell::new(Some(frozen()));
        in_child(|| drop(slice.take())).succeeds();
        assert_eq!(slice.take().unwrap()[2999], 2999);
    });
}

#[test]
fn it_lasts_while_any_process_has_it() {
    watched(|| {
        let (steps, slice) = (Steps::new(), frozen());
        let name = send(slice.clone());
        let child = in_child(|| {
            let slice: SharedSlice<u32> = name.read().unwrap();
            steps.reach(1);
            steps.wait_for(2);
            assert!(slice.iter().copied().eq(0..3000));
        });
        steps.wait_for(1);
        drop((slice, name));
        steps.reach(2);
        child.succeeds();
    });
}

#[test]
fn its_name_is_no_other_handles() {
    let slice = frozen();
    let name = Sent::of(&slice);
    assert!(
        name.refusal::<SharedSlice<f32>>()
            .contains("not the name of such")
    );
    assert_eq!(name.read::<SharedSlice<u32>>().unwrap()[7], 7);
    assert_eq!(format!("{:?}", &slice.clone()[..2]), "[0, 1]");
}
