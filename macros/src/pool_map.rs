//! `pool_map!(job, items)` and `pool_map!(in pool, job, items, chunk_size = n, timeout = d, deadline = d, retries = n)`.

use proc_macro2::{Ident, TokenStream};
use quote::quote_spanned;
use syn::parse::ParseStream;
use syn::spanned::Spanned as _;
use syn::{Expr, ExprAssign, Token};

use crate::call::{JobPath, at, expression, job_call, parse_pool, pool_variable, with_pool};
use crate::errors::Errors;

const EXPECTED: &str = "expected `pool_map!(job, items)` or `pool_map!(in pool, job, items, chunk_size = n, timeout = d, deadline = d, retries = n)`";
const NAMES: [&str; 4] = ["chunk_size", "timeout", "deadline", "retries"];
const OPTIONS: &str =
    "expected `chunk_size = n`, `timeout = duration`, `deadline = duration` or `retries = n`";

/// The whole of `pool_map!`.
pub(crate) fn pool_map(input: TokenStream) -> TokenStream {
    expression(input, |door, input, errors| {
        let pool = parse_pool(input)?;
        if input.is_empty() {
            return Err(syn::Error::new(input.span(), EXPECTED));
        }
        let job = JobPath::new(input.parse()?, errors);
        input.parse::<Option<Token![,]>>()?;
        if input.is_empty() {
            return Err(syn::Error::new(
                input.span(),
                format!("the items are missing: {EXPECTED}"),
            ));
        }
        let items: Expr = input.parse()?;
        if let Expr::Assign(_) = items {
            errors.refuse(
                &items,
                format!("the items come before the options: {EXPECTED}"),
            );
        }
        let options = options(input, errors)?;
        let Some(job) = job else {
            return Ok(TokenStream::new());
        };

        let place = at(items.span());
        let call = job_call(door, &job, place);
        let options = options
            .iter()
            .map(|(name, value)| quote_spanned!(at(name.span())=> .#name(#value)));
        let options = quote_spanned!(place=> #door::MapOptions::NONE #(#options)*);
        Ok(match &pool {
            None => quote_spanned!(place=> #call.map(#items, #options)),
            Some(pool) => {
                let variable = pool_variable(pool);
                with_pool(
                    pool,
                    &quote_spanned!(place=> #call.map_on(#variable, #items, #options)),
                )
            }
        })
    })
}

/// `, name = value` until the end, in the user's order; each name is a method of the runtime's `MapOptions`.
fn options(input: ParseStream<'_>, errors: &mut Errors) -> syn::Result<Vec<(Ident, Expr)>> {
    let mut options: Vec<(Ident, Expr)> = Vec::new();
    while !input.is_empty() {
        input.parse::<Token![,]>()?;
        if input.is_empty() {
            break;
        }
        let option: Expr = input.parse()?;
        match name_and_value(&option) {
            None => errors.refuse(
                option,
                format!("{OPTIONS} here; a pool of yours comes first, `pool_map!(in pool, job, items)`; a job of several parameters maps over tuples, `pool_map!(job, [(1, 2), (3, 4)])`"),
            ),
            Some((name, _)) if !NAMES.iter().any(|known| name == known) => {
                errors.refuse(name, format!("unknown option `{name}`: {OPTIONS}"));
            }
            Some((name, _)) if options.iter().any(|(earlier, _)| earlier == name) => {
                errors.refuse(name, format!("`{name}` is given twice: keep one"));
            }
            Some((name, value)) => options.push((name.clone(), value.clone())),
        }
    }
    Ok(options)
}

fn name_and_value(option: &Expr) -> Option<(&Ident, &Expr)> {
    let Expr::Assign(ExprAssign { left, right, .. }) = option else {
        return None;
    };
    let Expr::Path(name) = &**left else {
        return None;
    };
    Some((name.path.get_ident()?, right))
}

#[cfg(test)]
mod tests {
    use quote::quote;

    use super::*;
    use crate::call::tests::messages;

    #[test]
    fn a_map_is_one_chain_in_the_order_it_was_written() {
        let expansion =
            pool_map(quote!([k] in pool, square, 0..10, retries = 1, chunk_size = n(),));
        let expected = quote!(match &(pool) {
            pool => k::__private::JobCall::new(square {
                job: k::__private::PhantomData
            })
            .infer()
            .map_on(
                pool,
                0..10,
                k::__private::MapOptions::NONE.retries(1).chunk_size(n())
            ),
        });
        assert_eq!(expansion.to_string(), expected.to_string());
    }

    #[test]
    fn without_a_pool_the_default_one_runs_it() {
        let expansion = pool_map(quote!([k] m::sort::<u8>, lists));
        let expected = quote!(
            k::__private::JobCall::new(m::sort::<u8> {
                job: k::__private::PhantomData
            })
            .infer()
            .map(lists, k::__private::MapOptions::NONE)
        );
        assert_eq!(expansion.to_string(), expected.to_string());
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let expansion = pool_map(quote!(
            [k] | x | x,
            0..3,
            chunks = 1,
            retries = 1,
            retries = 2,
            7
        ));
        let messages = messages(&expansion);
        assert_eq!(messages.len(), 4, "{messages:#?}");
        assert!(messages[0].starts_with("a closure cannot be a job"));
        assert_eq!(messages[1], format!("unknown option `chunks`: {OPTIONS}"));
        assert_eq!(messages[2], "`retries` is given twice: keep one");
        assert!(messages[3].starts_with(OPTIONS));
    }

    #[test]
    fn missing_parts_are_named() {
        let missing = format!("the items are missing: {EXPECTED}");
        assert_eq!(messages(&pool_map(quote!([k]))), [EXPECTED]);
        assert_eq!(messages(&pool_map(quote!([k] square))), [missing.as_str()]);
        assert_eq!(
            messages(&pool_map(quote!([k] in pool, square,))),
            [missing.as_str()]
        );
        assert!(
            messages(&pool_map(quote!([k] square, retries = 1)))[0]
                .starts_with("the items come before")
        );
    }
}
