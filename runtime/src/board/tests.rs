//! Where things lie, for any sizes and for numbers that a worker gone mad may write.

use proptest::prelude::*;

use super::*;

fn layouts() -> impl Strategy<Value = Layout> {
    (
        1..=MAX_WORKERS,
        1_u32..1 << 20,
        0_u64..1 << 20,
        0_u64..1 << 40,
        0_u64..1 << 34,
    )
        .prop_map(
            |(n_workers, n_tasks, setup_len, arena_len, region_len)| Layout {
                n_workers,
                n_tasks,
                setup_len,
                arena_len: round_up(arena_len, 4096),
                region_len: round_up(region_len, 4096),
            },
        )
}

fn small_board() -> Board {
    let layout = Layout {
        n_workers: 2,
        n_tasks: 3,
        setup_len: 100,
        arena_len: 8192,
        region_len: 4096,
    };
    Board::create(layout).unwrap().0
}

proptest! {
    #[test]
    fn the_parts_of_a_board_follow_each_other_aligned(layout in layouts()) {
        let bytes = |offset, len| Span::new(offset, len);
        let mut parts = vec![
            bytes(0, size_of::<Header>() as u64),
            bytes(layout.records(), u64::from(layout.n_workers) * size_of::<WorkerRecord>() as u64),
            bytes(layout.retry_names(), layout.n_retry_names() * 8),
            bytes(layout.names(0), layout.n_names() * 8),
            bytes(layout.names(1), layout.n_names() * 8),
            bytes(layout.names(2), layout.n_names() * 8),
            bytes(layout.links(), u64::from(layout.n_tasks) * size_of::<AtomicU32>() as u64),
            bytes(layout.tasks(), u64::from(layout.n_tasks) * size_of::<TaskRow>() as u64),
            layout.setup(),
            layout.arena(),
        ];
        parts.push(layout.region(0));
        parts.push(layout.region(layout.n_workers));
        for pair in parts.windows(2) {
            prop_assert!(pair[0].offset + pair[0].len <= pair[1].offset, "{pair:?}");
        }
        prop_assert!(parts.iter().all(|&part| Span::new(0, layout.len()).contains(part)));
        prop_assert!(layout.regions().contains(layout.region(layout.n_workers)));
        prop_assert!(layout.records().is_multiple_of(align_of::<WorkerRecord>() as u64));
        prop_assert!(layout.tasks().is_multiple_of(align_of::<TaskRow>() as u64));
        prop_assert!(parts[2..].iter().all(|part| part.offset.is_multiple_of(8)));
        prop_assert!([layout.arena(), layout.region(1)].iter().all(|part| part.offset.is_multiple_of(ALIGN)));
        prop_assert_eq!(Layout::from_words(layout.to_words()), layout);
    }

    #[test]
    fn a_span_is_within_another_only_with_both_its_ends(
        (offset, len) in (0_u64..1 << 48, 0_u64..1 << 48),
        (inner_offset, inner_len) in (any::<u64>(), any::<u64>()),
    ) {
        let (outer, inner) = (Span::new(offset, len), Span::new(inner_offset, inner_len));
        let end = |span: Span| u128::from(span.offset) + u128::from(span.len);
        let is_within = inner.offset >= outer.offset && end(inner) <= end(outer);
        prop_assert_eq!(outer.contains(inner), is_within);
        let shifted = Span::new(offset.wrapping_add(inner_offset % 64), inner_len % 128);
        prop_assert_eq!(outer.contains(shifted), end(shifted) <= end(outer));
    }
}

#[test]
fn bytes_beyond_the_board_are_neither_read_nor_written() {
    let board = small_board();
    let len = board.mapping.len() as u64;
    let mut copy = Vec::new();
    for (offset, n) in [
        (len, 1),
        (len - 1, 2),
        (u64::MAX, 1),
        (u64::MAX - 1, u64::MAX),
        (0, len + 1),
    ] {
        assert!(!board.read_into(Span::new(offset, n), &mut copy));
        assert!(board.input(Span::new(offset, n)).is_none());
        assert!(board.ensure(Span::new(offset, n)).is_err());
    }
    assert!(copy.is_empty());
    assert!(!board.write(len, b"x"));
    assert!(!board.write(u64::MAX, b"x"));
    assert!(board.words::<2>(len - 8).is_none());
    assert!(board.words::<2>(u64::MAX - 7).is_none());
    assert!(board.words::<2>(4).is_none(), "not at a multiple of 8");
    assert!(board.words::<2>(len - 16).is_some());
    assert!(board.task(TaskIndex(3)).is_none());
    assert!(board.worker(WorkerIndex(2)).is_none());
}

#[test]
fn an_input_lies_in_the_arena_a_pocket_or_the_setup_and_nowhere_else() {
    let board = small_board();
    let layout = board.layout();
    assert!(board.input(layout.arena()).is_some());
    assert!(board.input(layout.setup()).is_some());
    assert!(board.input(Span::new(0, 8)).is_none());
    assert!(board.input(layout.regions()).is_none());
    for row in 0..3 {
        let pocket = layout.pocket(TaskIndex(row));
        assert!(board.input(pocket).is_some());
        let words = [
            (pocket.offset + Pocket::LEN, 8),
            (pocket.offset + 8, Pocket::LEN),
        ];
        for (offset, len) in words {
            let span = Span::new(offset, len);
            assert!(board.input(span).is_none(), "the words of a row");
        }
    }
    let beyond = layout.pocket(TaskIndex(3));
    assert!(!layout.is_for_tasks(beyond), "a row that is none");
}

#[test]
fn a_room_lies_behind_its_input_whatever_the_row_says() {
    let board = small_board();
    let row = &board.tasks()[1];
    for (offset, len, room) in [
        (64, 0, 64),
        (64, 1, 80),
        (64, 16, 80),
        (u64::MAX, 9, u64::MAX),
    ] {
        row.input_offset.store(offset, Ordering::Relaxed);
        row.input_len.store(len, Ordering::Relaxed);
        row.room_len.store(7, Ordering::Relaxed);
        assert_eq!(row.room(), Span::new(room, 7));
    }
}

#[test]
fn cells_take_results_of_their_size_in_their_place_and_no_others() {
    let board = small_board();
    let arena = board.layout().arena();
    let room = Room::new(arena, 3, Some(2));
    let cells = board.cells(&room);
    assert!(cells.write(0, b"ab") && cells.write(2, b"ef"));
    assert!(!cells.write(3, b"gh"), "there are three");
    assert!(!cells.write(1, b"c") && !cells.write(1, b"cde"));
    let mut copy = Vec::new();
    assert!(board.read_into(Span::new(arena.offset, 8), &mut copy));
    assert_eq!(copy, b"ab\0\0ef\0\0");
    let end = board.mapping.len() as u64;
    for offset in [end - 5, end, u64::MAX - 1] {
        let room = Room::new(Span::new(offset, 6), 3, Some(2));
        assert!(!board.cells(&room).write(0, b"ab"), "{offset}");
    }
}

#[test]
fn cells_without_bytes_take_results_without_bytes() {
    let board = small_board();
    let room = Room::new(board.layout().arena(), 3, Some(0));
    let cells = board.cells(&room);
    assert!(cells.write(2, b"") && !cells.write(3, b"") && !cells.write(0, b"x"));
}
