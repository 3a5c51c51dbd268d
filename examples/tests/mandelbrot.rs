//! `mandelbrot` draws the same picture with any number of workers and with none, and writes it as PNG.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::empty_folder;
use crate::watchdog::{Said, run};

const SIZE: (u32, u32) = (96, 71);

fn mandelbrot(arguments: &[&str], out: &Path) -> Output {
    run(Command::new(env!("CARGO_BIN_EXE_mandelbrot"))
        .args(arguments)
        .arg("--out")
        .arg(out))
}

/// The file of a picture of [`SIZE`], drawn with these arguments.
fn drawn(folder: &Path, name: &str, arguments: &[&str], by: &str) -> PathBuf {
    let out = folder.join(name);
    let (width, height) = SIZE;
    let size = format!("{width}x{height}");
    let ended = mandelbrot(&[&["--size", &size], arguments].concat(), &out);
    assert!(ended.status.success(), "{ended:?}");
    let told = format!("96 x 71 pixels, 0.0 MB, drawn by {by} in ");
    assert!(ended.stdout().starts_with(&told), "{ended:?}");
    let len = fs::metadata(&out).expect("the picture is there").len();
    let told = format!("{}: {len} bytes\n", out.display());
    assert!(ended.stdout().ends_with(&told), "{ended:?}");
    out
}

fn pixels(path: &Path) -> Vec<[u8; 3]> {
    let file = BufReader::new(File::open(path).expect("the picture is there"));
    let mut reader = png::Decoder::new(file).read_info().expect("a PNG");
    assert_eq!((reader.info().width, reader.info().height), SIZE);
    let mut bytes = vec![0; reader.output_buffer_size().expect("a small picture")];
    let frame = reader.next_frame(&mut bytes).expect("a whole picture");
    assert_eq!(
        (frame.color_type, frame.bit_depth),
        (png::ColorType::Rgb, png::BitDepth::Eight)
    );
    let (pixels, rest) = bytes.as_chunks();
    assert_eq!(rest, [0; 0]);
    pixels.to_vec()
}

#[test]
fn workers_draw_what_the_program_alone_draws_to_the_byte() {
    let folder = empty_folder("mandelbrot");
    let serial = drawn(&folder, "serial.png", &["--serial"], "the program itself");
    let serial_bytes = fs::read(&serial).expect("the picture is there");
    for workers in ["1", "2", "3"] {
        let name = format!("{workers}.png");
        let by = format!("{workers} worker processes");
        let parallel = drawn(&folder, &name, &["--workers", workers], &by);
        assert_eq!(pixels(&parallel), pixels(&serial), "{workers} workers");
        let bytes = fs::read(&parallel).expect("the picture is there");
        assert!(bytes == serial_bytes, "{workers} workers");
    }
}

#[test]
fn the_picture_is_the_mandelbrot_set() {
    let folder = empty_folder("mandelbrot-set");
    let pixels = pixels(&drawn(
        &folder,
        "set.png",
        &["--workers", "2"],
        "2 worker processes",
    ));
    let at = |column: usize, row: usize| pixels[row * SIZE.0 as usize + column];
    // Points of the set, by the column and row of 96 x 71 in which they lie: 0, and -1 in the disc to the left.
    for (column, row) in [(68, 35), (39, 35)] {
        assert_eq!(at(column, row), [0; 3]);
    }
    // The corners are far out, and no pixel was left as it was in the new array.
    for (column, row) in [(0, 0), (95, 0), (0, 70), (95, 70)] {
        assert_ne!(at(column, row), [0; 3]);
    }
    let n_black = pixels.iter().filter(|&&pixel| pixel == [0; 3]).count();
    // The set's area is 1.5066.
    let area = n_black as f64 * (2.4_f64 / 71.0).powi(2);
    assert!((1.4..1.65).contains(&area), "{area}");
    // It is as high above the real axis as below.
    for (row, column) in (0..71).flat_map(|row| (0..96).map(move |column| (row, column))) {
        assert_eq!(
            at(column, row),
            at(column, 70 - row),
            "row {row}, column {column}"
        );
    }
}

#[test]
fn a_picture_of_one_pixel_has_one_chunk() {
    let out = empty_folder("mandelbrot-tiny").join("tiny.png");
    let ended = mandelbrot(&["--size", "1x1", "--workers", "2"], &out);
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn bad_arguments_are_refused_with_what_to_do() {
    let out = empty_folder("mandelbrot-refused").join("none.png");
    for (arguments, told) in [
        (
            &["--size", "12"][..],
            "a size is WIDTHxHEIGHT, each from 1 to 100000, as in 1200x900",
        ),
        (&["--size", "0x5"], "a size is WIDTHxHEIGHT"),
        (&["--size", "-3x5"], "a size is WIDTHxHEIGHT"),
        (&["--workers", "0"], "a pool needs 1 to 1024 workers, not 0"),
        (&["--fast"], "usage: mandelbrot"),
    ] {
        let ended = mandelbrot(arguments, &out);
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(ended.stderr().contains(told), "{}", ended.stderr());
        assert!(!out.exists());
    }
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let out = empty_folder("mandelbrot-nowhere").join("missing/picture.png");
    let ended = mandelbrot(&["--size", "8x6", "--serial"], &out);
    assert_eq!(ended.status.code(), Some(2));
    let told = format!("mandelbrot: {}: No such file or directory", out.display());
    assert!(ended.stderr().starts_with(&told), "{}", ended.stderr());
}
