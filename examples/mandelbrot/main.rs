//! The Mandelbrot set, drawn by workers straight into one shared array: no pixel is ever sent.
//!
//! What section 1.6 of the tutorial is good for. There, `mp.Array` gives every worker the whole array, and it is left to the
//! programmer that no two write to one place; to have each return its part instead means to pickle all pixels, send
//! them through a pipe and put them together. Here `into_chunks` divides the array into parts that can be written
//! without a lock because each has one owner, which the compiler checks: a chunk is moved into its job, and the job gives it
//! back. What travels is the chunk's name, a few bytes, whatever its size. `from_chunks` joins them again, and `freeze` gives
//! the slice that the PNG encoder reads in place.
//!
//! The set itself takes hundreds of times as long as its surroundings, so there are many more chunks than workers:
//! who has an easy one takes the next.
//!
//! ```text
//! cargo run --release -p procession-examples --bin mandelbrot --
//!     --size WIDTHxHEIGHT    1200x900 by default
//!     --out FILE             mandelbrot.png by default
//!     --workers N            instead of one for each core
//!     --serial               drawn by the program itself, for comparison; the file is the same to the byte
//! ```

mod picture;

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use procession::{Array, ArrayChunk, Error, Pool, SharedSlice, pool_map, process_job};
use procession_examples::ending;

use picture::{Picture, Pixel};

const USAGE: &str = "usage: mandelbrot [--size WIDTHxHEIGHT] [--out FILE] [--workers N] [--serial]";

const CHUNKS_PER_WORKER: usize = 32;

#[process_job]
fn draw(picture: Picture, mut pixels: ArrayChunk<Pixel>) -> ArrayChunk<Pixel> {
    let first = pixels.range().start;
    picture.draw(first, &mut pixels);
    pixels
}

fn draw_in_workers(picture: Picture, pool: &Pool) -> Result<SharedSlice<Pixel>, Error> {
    let pixels = Array::<Pixel>::zeroed(picture.n_pixels())?;
    let chunks = pixels.into_chunks(pool.workers() * CHUNKS_PER_WORKER)?;
    let parts = chunks.into_iter().map(|chunk| (picture, chunk));
    let drawn = pool_map!(in pool, draw, parts, chunk_size = 1)?;
    Array::from_chunks(drawn)?.freeze()
}

fn main() -> ExitCode {
    ending::exit_code("mandelbrot", run())
}

fn run() -> Result<ExitCode, Box<dyn std::error::Error>> {
    let Some(options) = Options::from_arguments()? else {
        println!("{USAGE}");
        return Ok(ExitCode::SUCCESS);
    };
    let begin = Instant::now();
    if options.serial {
        let mut pixels = vec![Pixel::default(); options.picture.n_pixels()];
        options.picture.draw(0, &mut pixels);
        options.show(&pixels, begin.elapsed(), "the program itself")?;
    } else {
        let mut builder = Pool::builder().name("mandelbrot");
        if let Some(workers) = options.workers {
            builder = builder.workers(workers);
        }
        let pool = builder.build()?;
        let pixels = draw_in_workers(options.picture, &pool)?;
        let by = format!("{} worker processes", pool.workers());
        options.show(&pixels, begin.elapsed(), &by)?;
        pool.close()?;
    }
    Ok(ExitCode::SUCCESS)
}

struct Options {
    picture: Picture,
    out: PathBuf,
    workers: Option<usize>,
    serial: bool,
}

impl Options {
    /// `None`: only help was asked for.
    fn from_arguments() -> Result<Option<Self>, Box<dyn std::error::Error>> {
        use lexopt::prelude::*;
        let mut options = Self {
            picture: Picture {
                width: 1200,
                height: 900,
            },
            out: PathBuf::from("mandelbrot.png"),
            workers: None,
            serial: false,
        };
        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("size") => options.picture = arguments.value()?.parse_with(parse_size)?,
                Long("out") => options.out = arguments.value()?.into(),
                Long("workers") => options.workers = Some(arguments.value()?.parse()?),
                Long("serial") => options.serial = true,
                Short('h') | Long("help") => return Ok(None),
                other => return Err(format!("{}\n{USAGE}", other.unexpected()).into()),
            }
        }
        Ok(Some(options))
    }

    /// Tells who has drawn the pixels and for how long, and writes them to the file.
    fn show(
        &self,
        pixels: &[Pixel],
        drawn_in: Duration,
        by: &str,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let Picture { width, height } = self.picture;
        println!(
            "{width} x {height} pixels, {:.1} MB, drawn by {by} in {:.3} s",
            pixels.as_flattened().len() as f64 / 1e6,
            drawn_in.as_secs_f64()
        );
        let n_bytes = self
            .write(pixels)
            .map_err(|error| format!("{}: {error}", self.out.display()))?;
        println!("{}: {n_bytes} bytes", self.out.display());
        Ok(())
    }

    /// Gives the length of the file.
    fn write(&self, pixels: &[Pixel]) -> Result<u64, Box<dyn std::error::Error>> {
        let file = BufWriter::new(File::create(&self.out)?);
        let mut encoder = png::Encoder::new(file, self.picture.width, self.picture.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(pixels.as_flattened())?;
        writer.finish()?;
        Ok(fs::metadata(&self.out)?.len())
    }
}

fn parse_size(size: &str) -> Result<Picture, String> {
    let sides = size.split_once('x').and_then(|(width, height)| {
        let side = |digits: &str| {
            digits
                .parse()
                .ok()
                .filter(|side| (1..=100_000).contains(side))
        };
        Some((side(width)?, side(height)?))
    });
    let (width, height) =
        sides.ok_or("a size is WIDTHxHEIGHT, each from 1 to 100000, as in 1200x900")?;
    Ok(Picture { width, height })
}
