//! The job: parse one file, count what is in it.
//!
//! What the parser sees is what is counted: code inside macro calls is not, code under any `cfg` is.

use std::fmt;
use std::fs;
use std::ops::AddAssign;
use std::path::Path;

use procession::process_job;
use serde::{Deserialize, Serialize};
use syn::visit::{self, Visit};

/// What one file holds, or many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) files: u64,
    pub(crate) lines: u64,
    /// Functions, types, impls, uses, macro calls …, also those inside modules and functions; not the members of
    /// traits and impls.
    pub(crate) items: u64,
    /// Free ones, foreign ones and the methods of traits and impls.
    pub(crate) functions: u64,
    pub(crate) unsafe_blocks: u64,
}

/// Why a file was not counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Refusal {
    Unreadable(String),
    NotRust(String),
}

/// A file that cannot be read or parsed is a value like any other, not a failure of the job.
#[process_job]
pub(crate) fn count_file(path: &Path) -> Result<Counts, Refusal> {
    let bytes = fs::read(path).map_err(|error| Refusal::Unreadable(error.to_string()))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| Refusal::NotRust(error.utf8_error().to_string()))?;
    let file = syn::parse_file(&text).map_err(|error| Refusal::NotRust(error.to_string()))?;
    let mut counter = Counter(Counts {
        files: 1,
        lines: text.lines().count() as u64,
        ..Counts::default()
    });
    counter.visit_file(&file);
    Ok(counter.0)
}

struct Counter(Counts);

impl<'ast> Visit<'ast> for Counter {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        self.0.items += 1;
        visit::visit_item(self, item);
    }

    /// Every kind of function has exactly one signature.
    fn visit_signature(&mut self, signature: &'ast syn::Signature) {
        self.0.functions += 1;
        visit::visit_signature(self, signature);
    }

    fn visit_expr_unsafe(&mut self, block: &'ast syn::ExprUnsafe) {
        self.0.unsafe_blocks += 1;
        visit::visit_expr_unsafe(self, block);
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.files += other.files;
        self.lines += other.lines;
        self.items += other.items;
        self.functions += other.functions;
        self.unsafe_blocks += other.unsafe_blocks;
    }
}

impl fmt::Display for Counts {
    /// The columns of a row of the table.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            files,
            lines,
            items,
            functions,
            unsafe_blocks,
        } = self;
        write!(
            f,
            "{files:>7} {lines:>9} {items:>8} {functions:>10} {unsafe_blocks:>14}"
        )
    }
}
