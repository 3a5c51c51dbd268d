//! The procspawn crate, measured on request: reads lines `work size`, answers with nanoseconds or `error why`.

use std::io::{BufRead, Write, stdin, stdout};
use std::time::Instant;

fn square(x: u64) -> u64 {
    x.wrapping_mul(x)
}

fn squares_in_chunks(
    pool: &procspawn::Pool,
    items: &[u64],
    n_chunks: usize,
) -> Result<u128, String> {
    let start = Instant::now();
    let chunks: Vec<_> = items
        .chunks(items.len().div_ceil(n_chunks).max(1))
        .map(|chunk| {
            let chunk = chunk.to_vec();
            procspawn::spawn!(in pool, (chunk) || chunk.into_iter().map(square).collect::<Vec<u64>>())
        })
        .collect();
    let mut squares = Vec::with_capacity(items.len());
    for chunk in chunks {
        squares.extend(chunk.join().map_err(|error| error.to_string())?);
    }
    let took = start.elapsed().as_nanos();
    let is_right =
        squares.len() == items.len() && squares.iter().zip(items).all(|(&y, &x)| y == square(x));
    is_right
        .then_some(took)
        .ok_or_else(|| "wrong squares".to_owned())
}

fn main() {
    procspawn::init();
    let pool = procspawn::Pool::new(2).expect("a pool of two");
    let mut items: Vec<u64> = Vec::new();
    for line in stdin().lock().lines().map_while(Result::ok) {
        let (work, size) = line.split_once(' ').unwrap_or((&line, "0"));
        let size: u64 = size.parse().unwrap_or(0);
        let answer = match work {
            "hello" => Ok(0),
            "map" => {
                if items.len() as u64 != size {
                    items = (0..size).collect();
                }
                squares_in_chunks(&pool, &items, 8)
            }
            _ => Err(format!("no work named {work}")),
        };
        let mut to = stdout().lock();
        let written = match answer {
            Ok(nanos) => writeln!(to, "{nanos}"),
            Err(why) => writeln!(to, "error {why}"),
        };
        if written.and_then(|()| to.flush()).is_err() {
            break;
        }
    }
    pool.shutdown();
}
