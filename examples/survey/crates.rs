//! Which crate a file belongs to: the nearest folder above it with a Cargo.toml, else the folder it lies in.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Remembers the crate of each folder it was asked about.
#[derive(Debug, Default)]
pub(crate) struct Crates {
    of_folder: HashMap<PathBuf, PathBuf>,
}

impl Crates {
    /// The folder of the crate that `file` belongs to.
    pub(crate) fn of(&mut self, file: &Path) -> PathBuf {
        // Without a working directory the path stays as it is.
        let file = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = file.parent().unwrap_or(&file);
        if let Some(found) = self.of_folder.get(folder) {
            return found.clone();
        }
        let found = folder
            .ancestors()
            .find(|ancestor| ancestor.join("Cargo.toml").is_file())
            .unwrap_or(folder);
        self.of_folder.insert(folder.to_owned(), found.to_owned());
        found.to_owned()
    }
}
