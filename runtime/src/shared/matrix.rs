//! Two-dimensional views of shared elements, for those who calculate with the `ndarray` crate.
//!
//! Responsible for shapes that fit. The elements are lent as slices by their owners; rows lie one after the other.

use ndarray::{ArrayView2, ArrayViewMut2, ErrorKind, ShapeError};

use super::{ArrayChunk, ArrayGuard, Shareable, SharedSlice};
use crate::error::Error;

/// Whether so many elements are so many rows and columns.
fn check(n: usize, (n_rows, n_columns): (usize, usize)) -> Result<(), Error> {
    if n_rows.checked_mul(n_columns) == Some(n) {
        return Ok(());
    }
    let why = ShapeError::from_kind(ErrorKind::IncompatibleShape);
    Err(Error::invalid_input(format!(
        "{n} elements are no {n_rows} rows of {n_columns}: {why}"
    )))
}

fn view<T>(elements: &[T], shape: (usize, usize)) -> Result<ArrayView2<'_, T>, Error> {
    check(elements.len(), shape)?;
    ArrayView2::from_shape(shape, elements).map_err(|why| Error::invalid_input(why.to_string()))
}

fn view_mut<T>(elements: &mut [T], shape: (usize, usize)) -> Result<ArrayViewMut2<'_, T>, Error> {
    check(elements.len(), shape)?;
    ArrayViewMut2::from_shape(shape, elements).map_err(|why| Error::invalid_input(why.to_string()))
}

impl<T: Shareable> SharedSlice<T> {
    /// The elements as rows and columns, with the feature `ndarray`.
    ///
    /// # Errors
    ///
    /// Of kind [`InvalidInput`](crate::ErrorKind::InvalidInput), where these are not so many elements as there are.
    ///
    /// ```
    /// let table = procession::Array::new([1, 2, 3, 4, 5, 6])?.freeze()?;
    /// let rows = table.view2((2, 3))?;
    /// assert_eq!(rows.column(1).to_vec(), [2, 5]);
    /// assert!(table.view2((2, 2)).is_err());
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn view2(&self, shape: (usize, usize)) -> Result<ArrayView2<'_, T>, Error> {
        view(self, shape)
    }
}

impl<T: Shareable> ArrayGuard<T> {
    /// The elements as rows and columns, with the feature `ndarray`.
    ///
    /// # Errors
    ///
    /// As of [`SharedSlice::view2`].
    ///
    /// ```
    /// let array = procession::Array::new([1, 2, 3, 4])?;
    /// let guard = array.lock()?;
    /// assert_eq!(guard.view2((2, 2))?.diag().sum(), 5);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn view2(&self, shape: (usize, usize)) -> Result<ArrayView2<'_, T>, Error> {
        view(self, shape)
    }

    /// The elements as rows and columns to write, with the feature `ndarray`.
    ///
    /// # Errors
    ///
    /// As of [`SharedSlice::view2`].
    ///
    /// ```
    /// let array = procession::Array::<f64>::zeroed(6)?;
    /// array.lock()?.view2_mut((3, 2))?.row_mut(1).fill(0.5);
    /// assert_eq!(array.to_vec(), [0.0, 0.0, 0.5, 0.5, 0.0, 0.0]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn view2_mut(&mut self, shape: (usize, usize)) -> Result<ArrayViewMut2<'_, T>, Error> {
        view_mut(self, shape)
    }
}

impl<T: Shareable> ArrayChunk<T> {
    /// The elements as rows and columns, with the feature `ndarray`.
    ///
    /// # Errors
    ///
    /// As of [`SharedSlice::view2`].
    ///
    /// ```
    /// let halves = procession::Array::new(0..8)?.into_chunks(2)?;
    /// assert_eq!(halves[1].view2((2, 2))?[(1, 0)], 6);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn view2(&self, shape: (usize, usize)) -> Result<ArrayView2<'_, T>, Error> {
        view(self, shape)
    }

    /// The elements as rows and columns to write, with the feature `ndarray`.
    ///
    /// # Errors
    ///
    /// As of [`SharedSlice::view2`].
    ///
    /// ```
    /// use procession::{Array, ArrayChunk, pool_map, process_job};
    ///
    /// /// Two rows of a picture that is three wide.
    /// #[process_job]
    /// fn shade(mut rows: ArrayChunk<u8>) -> ArrayChunk<u8> {
    ///     let shade = rows.index() as u8 + 1;
    ///     rows.view2_mut((2, 3)).unwrap().column_mut(1).fill(shade);
    ///     rows
    /// }
    ///
    /// let picture = Array::<u8>::zeroed(12)?.into_chunks(2)?;
    /// let picture = Array::from_chunks(pool_map!(shade, picture)?)?.freeze()?;
    /// assert_eq!(picture.view2((4, 3))?.column(1).to_vec(), [1, 1, 2, 2]);
    /// # Ok::<(), procession::Error>(())
    /// ```
    pub fn view2_mut(&mut self, shape: (usize, usize)) -> Result<ArrayViewMut2<'_, T>, Error> {
        view_mut(self, shape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_shape_of_all_elements_fits() {
        let elements = [1, 2, 3, 4, 5, 6];
        assert_eq!(view(&elements, (3, 2)).unwrap()[(2, 1)], 6);
        assert!(view(&elements[..0], (0, 7)).is_ok());
        for shape in [(2, 2), (6, 0), (4, 2), (usize::MAX, 2), (1 << 63, 2)] {
            let error = view(&elements, shape).unwrap_err();
            assert!(error.to_string().contains("6 elements are no"), "{error}");
        }
    }
}
