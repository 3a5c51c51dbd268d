//! Shared memory: values and arrays that many processes see.
//!
//! Everything here is a *handle*: cheap to clone, and passed to jobs like any argument, by value or by reference, alone or inside
//! a struct, also as a result. What it stands for lies in anonymous memory that all processes of the program have, and
//! goes when the last handle does; nothing has a name in the file system, so a `kill -9` of anybody leaves nothing behind.
//!
//! ```
//! use procession::{Value, pool_map, process_job};
//!
//! #[process_job]
//! fn measure(highest: &Value<f64>, x: f64) {
//!     highest.update(|highest| *highest = highest.max(x * x));
//! }
//!
//! let highest = Value::new(0.0)?;
//! pool_map!(measure, [1.0, -3.0, 2.0].map(|x| (&highest, x)))?;
//! assert_eq!(highest.get(), 9.0);
//! # Ok::<(), procession::Error>(())
//! ```
//!
//! # The memory model
//!
//! What is shared is plain data ([`Shareable`](trait@Shareable)): every pattern of bytes is a value, so no process can make it invalid for
//! another. It is read and written by the holder of its lock, and what one holder wrote the next one sees; or by a handle that is alone
//! by construction: nobody writes an array that is [frozen](SharedSlice), and a [chunk](ArrayChunk) is one process's at a time.
//! Without either there is [`Atomic`], whose operations are those of [`std::sync::atomic`], between processes as between threads.
//! That is all there is: no reference into memory that somebody else may be writing.
//!
//! A lock whose holder is killed is acquired by the next one, who is told: see [`LockError`]. Locking what one holds already
//! is an error, not a hang.
//!
//! # What it costs
//!
//! A [`Value`], an [`Atomic`], a [`Broadcast`] of up to 8 KiB and everything in [`sync`](crate::sync) but queues lie side by side in one
//! memory that every process has mapped, up to 1 GiB in all, and cost next to nothing. (What a killed process had a handle of is not
//! freed there before the program ends: mostly 128 bytes.)
//!
//! Larger ones, and each [`Array`], divided array and [`Queue`](crate::Queue), have an anonymous file of their own: one descriptor and one
//! mapping in each process that has a handle. So make one large array instead of many small ones, or raise `ulimit -n`. An array's
//! memory is taken when it is made, a queue's as it fills.
//!
//! A parameter `counter: &Value<T>` takes `&counter`, a parameter `counter: Value<T>` takes `counter.clone()`.
//!
//! # Coming from Python
//!
//! | Python | here |
//! |---|---|
//! | `v = mp.Value('i', 0)` | `let v = Value::new(0_i32)?` |
//! | `v.value`, `v.value = 3` | `v.get()`, `v.set(3)` |
//! | `with v.get_lock(): v.value += 1` | `v.update(\|v\| *v += 1)`, or [`Value::lock`] |
//! | `mp.Value(Point, 1, 2)`, a `ctypes.Structure` | a struct with `#[derive(Clone, Copy, Shareable)] #[repr(C)]` |
//! | `v.value += 1` with `mp.Value('i', lock=False)` | [`Atomic`], which loses no addition |
//! | `a = mp.Array('i', [1, 2, 3])` | `let a = Array::new([1, 2, 3])?` |
//! | `mp.Array('d', 10)` | `Array::<f64>::zeroed(10)?` |
//! | `a[1]`, `a[1] = 5`, `a[:]` | `a.get(1)`, which is an `Option`, `a.set(1, 5)`, `a.to_vec()` |
//! | `with a.get_lock():` and a loop over `a` | [`Array::lock`], a `&mut [T]` |
//! | `mp.RawArray`, and care | [`Array::freeze`] to read, [`Array::into_chunks`] to write without a lock |
//! | a large argument of many jobs | [`Broadcast`]: sent once, decoded once in each worker |
//! | `mp.Queue()`, `mp.Queue(10)` | [`Queue::new`](crate::Queue::new), [`Queue::bounded(10)`](crate::Queue::bounded) |
//! | `mp.Lock()`, `with lock:` | [`Lock`](crate::Lock), `let _guard = lock.acquire()?` |
//! | `mp.Event()` | [`Event`](crate::Event) |
//! | `mp.RLock()`, `mp.Semaphore(n)`, `mp.Condition()`, `mp.Barrier(n)` | see [`sync`](crate::sync#coming-from-python) |
//!
//! | type code | `ctypes` | Rust |
//! |---|---|---|
//! | `'b'`, `'B'` | `c_byte`, `c_ubyte` | `i8`, `u8` |
//! | `'h'`, `'H'` | `c_short`, `c_ushort` | `i16`, `u16` |
//! | `'i'`, `'I'` | `c_int`, `c_uint` | `i32`, `u32` |
//! | `'l'`, `'L'` | `c_long`, `c_ulong` | `i64`, `u64` (`isize`, `usize` on every Linux) |
//! | `'q'`, `'Q'` | `c_longlong`, `c_ulonglong` | `i64`, `u64` |
//! | `'f'`, `'d'` | `c_float`, `c_double` | `f32`, `f64` |
//! | `'u'`, `'w'` | `c_wchar` | `u32`: `u32::from(letter)` and `char::from_u32(number)` |
//! | `'c'` | `c_char` | `u8` |
//! | | `c_bool` | `u8`, 0 or 1 |
//! | | `c_ssize_t`, `c_size_t` | `isize`, `usize` |
//! | | `c_int * 3` | `[i32; 3]` |
//!
//! Python's `Array` has one dimension. So has [`Array`], and more by a [stride](Array#more-than-one-dimension); with the feature `ndarray`
//! guards, chunks and frozen arrays are views of two dimensions (`view2`, `view2_mut`).

mod arena;
mod array;
mod array_guard;
mod atomic;
mod block;
mod broadcast;
mod chunk;
mod claim;
mod division;
pub(crate) mod fixed;
mod header;
mod holders;
mod layout;
mod life;
mod lock_error;
mod mark;
#[cfg(feature = "ndarray")]
mod matrix;
mod name;
mod shareable;
mod slice;
mod sole;
mod table;
#[cfg(all(test, target_os = "linux", not(procession_unsupported)))]
mod testing;
pub(crate) mod travel;
mod value;

pub use array::Array;
pub use array_guard::ArrayGuard;
pub use atomic::{Atomic, AtomicInteger};
pub(crate) use block::Block;
pub use broadcast::Broadcast;
pub use chunk::ArrayChunk;
pub(crate) use header::Label;
pub use lock_error::LockError;
pub use shareable::Shareable;
pub use slice::SharedSlice;
pub use value::{Integer, Value, ValueGuard};
