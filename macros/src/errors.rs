//! Collects mistakes, so that one compilation shows them all.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};

/// Mistakes found so far, each with its place.
#[derive(Default)]
pub(crate) struct Errors(Option<syn::Error>);

impl Errors {
    /// Adds a mistake that the parser found.
    pub(crate) fn push(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Adds a mistake shown under `tokens`.
    pub(crate) fn refuse(&mut self, tokens: impl ToTokens, message: impl std::fmt::Display) {
        self.push(syn::Error::new_spanned(tokens, message));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// As items, to stand beside the user's own; nothing if there was no mistake.
    pub(crate) fn into_items(self) -> TokenStream {
        self.0
            .map(|error| error.to_compile_error())
            .unwrap_or_default()
    }

    /// As an expression, whose type the compiler then leaves alone.
    pub(crate) fn into_expression(self) -> TokenStream {
        let items = self.into_items();
        quote!({ #items })
    }

    /// The texts alone, for unit tests.
    #[cfg(test)]
    pub(crate) fn messages(self) -> Vec<String> {
        self.0
            .into_iter()
            .flatten()
            .map(|error| error.to_string())
            .collect()
    }
}
