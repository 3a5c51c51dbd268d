//! `spawn!(job(a, b))` and `spawn!(in pool, job(a, b))`.

use proc_macro2::{Delimiter, Group, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprCall, Token};

use crate::call::{
    JobPath, at, bare, expression, job_call, nothing_more, parse_pool, pool_variable, with_pool,
};

const EXPECTED: &str = "expected `spawn!(job(a, b))` or `spawn!(in pool, job(a, b))`";

/// The whole of `spawn!`.
pub(crate) fn spawn(input: TokenStream) -> TokenStream {
    expression(input, |door, input, errors| {
        let pool = parse_pool(input)?;
        if input.is_empty() {
            return Err(syn::Error::new(input.span(), EXPECTED));
        }
        let call = bare(input.parse()?);
        input.parse::<Option<Token![,]>>()?;
        nothing_more(input, EXPECTED, errors)?;
        let ExprCall {
            func,
            paren_token,
            args,
            ..
        } = match call {
            Expr::Call(call) => call,
            // Either the arguments are missing or this is no job at all.
            other => {
                if let Some(job) = JobPath::new(other, errors) {
                    errors.refuse(job, format!("the job's arguments are missing: {EXPECTED}"));
                }
                return Ok(TokenStream::new());
            }
        };
        let Some(job) = JobPath::new(*func, errors) else {
            return Ok(TokenStream::new());
        };
        let place = paren_token.span.join();
        let call = job_call(door, &job, place);
        let item = item(args, place);
        Ok(match &pool {
            None => quote_spanned!(at(place)=> #call.spawn(#item)),
            Some(pool) => {
                let variable = pool_variable(pool);
                with_pool(
                    pool,
                    &quote_spanned!(at(place)=> #call.submit(#variable, #item)),
                )
            }
        })
    })
}

/// The arguments as the job's item: plain for one parameter, a tuple for several, `()` for none.
fn item(arguments: Punctuated<Expr, Token![,]>, place: Span) -> TokenStream {
    if arguments.len() == 1 {
        return arguments.into_iter().next().into_token_stream();
    }
    let mut tuple = Group::new(Delimiter::Parenthesis, arguments.into_token_stream());
    tuple.set_span(at(place));
    quote!(#tuple)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::messages;

    #[track_caller]
    fn expands(input: TokenStream, expected: TokenStream) {
        assert_eq!(spawn(input).to_string(), expected.to_string());
    }

    #[test]
    fn arguments_become_one_item() {
        for (arguments, item) in [
            (quote!(), quote!(())),
            (quote!(1), quote!(1)),
            (quote!(1,), quote!(1)),
            (quote!(1, f(2)), quote!((1, f(2)))),
        ] {
            expands(
                quote!([k] m::add::<u8>(#arguments)),
                quote!(k::__private::JobCall::new(m::add::<u8> { job: k::__private::PhantomData }).infer().spawn(#item)),
            );
        }
    }

    #[test]
    fn a_pool_is_named_before_the_job() {
        expands(
            quote!([k] in self.pools[0], add(1, 2),),
            quote!(match &(self.pools[0]) {
                pool => k::__private::JobCall::new(add {
                    job: k::__private::PhantomData
                })
                .infer()
                .submit(pool, (1, 2)),
            }),
        );
    }

    #[test]
    fn what_is_no_call_of_a_job_is_refused() {
        let missing = format!("the job's arguments are missing: {EXPECTED}");
        assert_eq!(messages(&spawn(quote!([k] add))), [missing.as_str()]);
        assert_eq!(messages(&spawn(quote!([k]))), [EXPECTED]);
        assert_eq!(messages(&spawn(quote!([k] add(1), 2))), [EXPECTED]);
        assert!(messages(&spawn(quote!([k] | x | x)))[0].starts_with("a closure"));
        assert!(messages(&spawn(quote!([k](|x| x)(3))))[0].starts_with("a closure"));
        assert!(messages(&spawn(quote!([k] this.method(3))))[0].starts_with("expected the path"));
    }
}
