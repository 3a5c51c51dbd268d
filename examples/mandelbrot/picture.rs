//! What the Mandelbrot set looks like at each pixel.
//!
//! Knows nothing of processes. A pixel depends on its index and the picture's size alone, so whoever computes it
//! finds the same.

use serde::{Deserialize, Serialize};

/// Red, green, blue.
pub(crate) type Pixel = [u8; 3];

const MOST_ROUNDS: u32 = 1000;

/// So far out that the number of rounds can be told in fractions.
const ESCAPE_RADIUS: f64 = 256.0;

/// A picture of the whole set, row by row from the top left.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Picture {
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl Picture {
    pub(crate) fn n_pixels(self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Fills in the pixels from the one with the index `first` on.
    pub(crate) fn draw(self, first: usize, pixels: &mut [Pixel]) {
        for (index, pixel) in (first..).zip(pixels) {
            *pixel = colour(self.point(index));
        }
    }

    /// The complex number in the middle of a pixel. Whatever its shape, the picture shows 3.2 by 2.4 around -0.7.
    fn point(self, index: usize) -> [f64; 2] {
        let (width, height) = (f64::from(self.width), f64::from(self.height));
        let (column, row) = (index % self.width as usize, index / self.width as usize);
        let unit = (2.4 / height).max(3.2 / width);
        let real = (column as f64 + 0.5 - width / 2.0) * unit - 0.7;
        let imaginary = (height / 2.0 - row as f64 - 0.5) * unit;
        [real, imaginary]
    }
}

/// Black within the set; gold where `z² + c` escapes soon, blue where it takes longer, white at the edge.
fn colour([real, imaginary]: [f64; 2]) -> Pixel {
    let (mut x, mut y) = (0.0_f64, 0.0_f64);
    for round in 0..MOST_ROUNDS {
        let (xx, yy) = (x * x, y * y);
        if xx + yy > ESCAPE_RADIUS * ESCAPE_RADIUS {
            let radius_doublings = (xx + yy).ln() / (2.0 * ESCAPE_RADIUS.ln());
            return shade(f64::from(round) + 1.0 - radius_doublings.log2());
        }
        (x, y) = (xx - yy + real, 2.0 * x * y + imaginary);
    }
    [0, 0, 0]
}

fn shade(rounds: f64) -> Pixel {
    // One turn of the colours for each doubling or so: far from the set rounds are few and wide, near to it many and thin.
    let turn = rounds.max(1.0).ln() * 0.9;
    let wave = |phase: f64| (0.5 - 0.5 * ((turn + phase) * std::f64::consts::PI).cos()) * 255.0;
    [wave(-0.25), wave(-0.12), wave(0.1)].map(|light| light.round() as u8)
}
