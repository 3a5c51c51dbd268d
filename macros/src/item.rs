//! The function under `#[process_job]`: its signature is parsed, its body stays tokens.
//!
//! So an unfinished body keeps rustc's own errors. What is no function at all is refused here, since nothing further can be said
//! about it.

use proc_macro2::{TokenStream, TokenTree};
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Signature, Token, Visibility};

use crate::errors::Errors;

const EXPECTED: &str = "`#[process_job]` goes on a function: `fn name(x: u64) -> u64 { … }`";

/// A function whose body has not been looked at.
pub(crate) struct JobFunction {
    pub(crate) attributes: Vec<Attribute>,
    pub(crate) visibility: Visibility,
    pub(crate) signature: Signature,
}

/// The function in `tokens`, or `None` and a message.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<JobFunction> {
    function
        .parse2(tokens)
        .map_err(|error| errors.push(error))
        .ok()
}

fn function(input: ParseStream<'_>) -> syn::Result<JobFunction> {
    let attributes = input.call(Attribute::parse_outer)?;
    let visibility = input.parse()?;
    if !is_function(input) {
        let found: TokenStream = input.parse()?;
        return Err(syn::Error::new_spanned(head(found), EXPECTED));
    }
    let signature = input.parse()?;
    if input.peek(Token![;]) {
        let message = "a job needs a body: a method of a trait or a foreign function cannot be a job, a free function that calls it can";
        return Err(syn::Error::new(input.span(), message));
    }
    input.parse::<TokenStream>()?;
    Ok(JobFunction {
        attributes,
        visibility,
        signature,
    })
}

/// Whether the next keyword that says what kind of item this is says `fn`.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    loop {
        if ahead.peek(Token![fn]) {
            return true;
        }
        let is_qualifier = ahead.peek(Token![const])
            || ahead.peek(Token![async])
            || ahead.peek(Token![unsafe])
            || ahead.peek(Token![extern])
            || ahead.peek(syn::LitStr);
        if !is_qualifier || ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
}

/// The tokens before the first brace: what a reader recognises an item by.
fn head(item: TokenStream) -> TokenStream {
    item.into_iter()
        .take_while(|token| !matches!(token, TokenTree::Group(_)))
        .collect()
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;

    fn messages(tokens: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        let function = parse(tokens, &mut errors);
        assert_eq!(function.is_none(), !errors.is_empty());
        errors.messages()
    }

    #[test]
    fn a_function_with_any_body_is_read() {
        for tokens in [
            quote!(
                fn f() {}
            ),
            quote!(#[doc = "text"] #[inline] pub(crate) const unsafe extern "C" fn f<T>(x: T) -> T where T: Copy { x . }),
            quote!(pub async fn f(&self) { let unfinished = ; }),
        ] {
            assert_eq!(messages(tokens.clone()), [""; 0], "{tokens}");
        }
    }

    #[test]
    fn what_is_no_function_is_refused_by_one_message() {
        for tokens in [
            quote!(
                struct S {
                    x: u8,
                }
            ),
            quote!(
                impl S {
                    fn f() {}
                }
            ),
            quote!(
                pub trait T {
                    fn f();
                }
            ),
            quote!(
                mod m {
                    fn f() {}
                }
            ),
            quote!(
                const N: usize = 1;
            ),
            quote!(
                const F: fn() = f;
            ),
            quote!(
                extern "C" {
                    fn f();
                }
            ),
            quote!(|x: u8| x),
        ] {
            assert_eq!(messages(tokens.clone()), [EXPECTED], "{tokens}");
        }
    }

    #[test]
    fn a_function_without_a_body_is_refused() {
        assert!(
            messages(quote!(
                fn f(x: u8);
            ))[0]
                .starts_with("a job needs a body")
        );
    }
}
