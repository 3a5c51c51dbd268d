//! The job: one file's hash. The path comes in, the bytes are read here and go no further.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use procession::process_job;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The hash of one file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sum {
    pub(crate) hash: [u8; 32],
    pub(crate) n_bytes: u64,
}

/// A file that cannot be read is a value like any other, not a failure of the job.
#[process_job]
pub(crate) fn sha256(path: &Path) -> Result<Sum, String> {
    hash_file(path).map_err(|error| error.to_string())
}

fn hash_file(path: &Path) -> io::Result<Sum> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 128 * 1024];
    let mut n_bytes = 0;
    loop {
        match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(n_read) => {
                hasher.update(&buffer[..n_read]);
                n_bytes += n_read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Sum {
        hash: hasher.finalize().into(),
        n_bytes,
    })
}
