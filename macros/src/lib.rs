//! The macros of the `procession` crate. Depend on `procession`, which re-exports them and documents them.
//!
//! Responsible for: reading the user's tokens, refusing what cannot be a job, and writing calls into the runtime.
//! Not responsible for: any behaviour; an expansion holds facts and calls, the logic lives in the runtime.
//!
//! Invariants: the function under `#[process_job]` is given back as it came, also when it is refused; every mistake is
//! reported in one run, each on its own tokens; an expansion names nothing but absolute paths
//! (`::procession::__private`, `::core`), so no name in the user's scope can change its meaning.
//!
//! In reading order:
#![forbid(unsafe_code)]

// The attribute: parse, check, model, expand.
mod args;
mod check;
mod duration;
mod expand;
mod item;
mod model;
mod role;

// The call macros: parse, expand.
mod call;
mod pool_map;
mod spawn;

// The derive: parse, check, expand.
mod shareable;

// The attribute for objects: parse, check, expand.
mod object;

// Shared.
mod errors;
mod path;

#[cfg(test)]
mod golden;

use proc_macro::TokenStream;

/// Documented on its re-export in the `procession` crate.
#[proc_macro_attribute]
pub fn process_job(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::process_job(arguments.into(), item.into()).into()
}

/// Documented on its re-export in the `procession` crate.
#[proc_macro_attribute]
pub fn process_object(arguments: TokenStream, item: TokenStream) -> TokenStream {
    object::process_object(arguments.into(), item.into()).into()
}

/// Documented on the macro of the same name in the `procession` crate.
#[proc_macro]
pub fn pool_map(input: TokenStream) -> TokenStream {
    pool_map::pool_map(input.into()).into()
}

/// Documented on the macro of the same name in the `procession` crate.
#[proc_macro]
pub fn spawn(input: TokenStream) -> TokenStream {
    spawn::spawn(input.into()).into()
}

/// Documented on the macro of the same name in the `procession` crate.
#[proc_macro]
pub fn job(input: TokenStream) -> TokenStream {
    call::job(input.into()).into()
}

/// Documented on the trait of the same name in the `procession` crate.
#[proc_macro_derive(Shareable, attributes(shareable))]
pub fn shareable(item: TokenStream) -> TokenStream {
    shareable::shareable(item.into()).into()
}
