//! Where an expansion finds the runtime.

use proc_macro2::{Group, TokenStream};
use quote::quote;
use syn::parse::ParseStream;

/// The hidden module of the runtime, seen from the attribute: `::procession` unless `crate = path` says otherwise.
pub(crate) fn door(krate: Option<&syn::Path>) -> TokenStream {
    match krate {
        Some(path) => quote!(#path::__private),
        None => quote!(::procession::__private),
    }
}

/// The same, seen from a call macro: the runtime's `macro_rules` put `[$crate]` before the user's tokens.
///
/// Kept as tokens: `$crate` is no identifier that `syn` knows.
pub(crate) fn parse_door(input: ParseStream<'_>) -> syn::Result<TokenStream> {
    let krate = input.parse::<Group>()?.stream();
    Ok(quote!(#krate::__private))
}
