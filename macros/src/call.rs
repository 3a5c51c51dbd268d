//! The grammar that the call macros share: `in pool,`, the job's path, and what comes of mistakes.
//!
//! The places of tokens matter here. Whatever the user did not write takes the place of the arguments
//! ([`at`]), because there the compiler's errors about the call belong.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::parse::{ParseStream, Parser};
use syn::spanned::Spanned as _;
use syn::{Expr, ExprPath, Token};

use crate::errors::Errors;
use crate::path;

const JOB: &str = "expected the path of a function annotated with `#[process_job]`, such as `square`, `jobs::square` or `sort::<u64>`";
const NO_CLOSURE: &str = "a closure cannot be a job: what it captures stays in this process; \
    write a function under `#[process_job]` and pass what it needs as arguments, or give the closure to `fork_map`";

/// Runs a call macro: reads `[$crate]`, hands the rest to `parse`, turns mistakes into an expression.
pub(crate) fn expression(
    input: TokenStream,
    parse: impl FnOnce(&TokenStream, ParseStream<'_>, &mut Errors) -> syn::Result<TokenStream>,
) -> TokenStream {
    let mut errors = Errors::default();
    let parser = |input: ParseStream<'_>| {
        let door = path::parse_door(input)?;
        parse(&door, input, &mut errors)
    };
    match parser.parse2(input) {
        Ok(expression) if errors.is_empty() => expression,
        Ok(_) => errors.into_expression(),
        Err(error) => {
            errors.push(error);
            errors.into_expression()
        }
    }
}

/// `in pool,`: any expression that dereferences to a pool.
pub(crate) fn parse_pool(input: ParseStream<'_>) -> syn::Result<Option<Expr>> {
    if input.parse::<Option<Token![in]>>()?.is_none() {
        return Ok(None);
    }
    let pool = input.parse()?;
    input.parse::<Token![,]>()?;
    Ok(Some(pool))
}

/// The path of a job, turbofish included.
pub(crate) struct JobPath(ExprPath);

impl JobPath {
    /// What stands in a job's place, if it is a path.
    pub(crate) fn new(expression: Expr, errors: &mut Errors) -> Option<Self> {
        match bare(expression) {
            Expr::Path(path) if path.qself.is_none() => return Some(Self(path)),
            Expr::Closure(closure) => errors.refuse(closure, NO_CLOSURE),
            other => errors.refuse(other, JOB),
        }
        None
    }

    /// The job as a value: its type's literal.
    pub(crate) fn literal(&self, door: &TokenStream) -> TokenStream {
        let path = &self.0;
        quote_spanned!(at(path.span())=> #path { job: #door::PhantomData })
    }
}

impl ToTokens for JobPath {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.0.to_tokens(tokens);
    }
}

/// Looks through parentheses and through the invisible groups that `macro_rules` leave around a `$job:expr`.
pub(crate) fn bare(expression: Expr) -> Expr {
    match expression {
        Expr::Group(group) => bare(*group.expr),
        Expr::Paren(paren) => bare(*paren.expr),
        expression => expression,
    }
}

/// Puts the pool before a call that uses it by the name [`pool_variable`].
///
/// A `match` and no argument, since an argument's expected type would reach into the user's expression: `{ &pool }` would have to be
/// a `Pool`. As a variable it becomes a `&Pool` by deref coercion, whatever it is.
pub(crate) fn with_pool(pool: &Expr, call: &TokenStream) -> TokenStream {
    let variable = pool_variable(pool);
    quote_spanned!(at(pool.span())=> match &(#pool) { #variable => #call, })
}

/// Lies where the user's expression lies, for there it is reported when it is no pool.
pub(crate) fn pool_variable(pool: &Expr) -> Ident {
    Ident::new("pool", at(pool.span()))
}

/// Refuses what follows where nothing may.
pub(crate) fn nothing_more(
    input: ParseStream<'_>,
    expected: &str,
    errors: &mut Errors,
) -> syn::Result<()> {
    if !input.is_empty() {
        errors.refuse(input.parse::<TokenStream>()?, expected);
    }
    Ok(())
}

/// The place of `span`, known to be written by a macro, so that lints for what people write stay silent.
pub(crate) fn at(span: Span) -> Span {
    Span::mixed_site().located_at(span)
}

/// `job!(path)`
pub(crate) fn job(input: TokenStream) -> TokenStream {
    expression(input, |door, input, errors| {
        if input.is_empty() {
            return Err(syn::Error::new(input.span(), JOB));
        }
        let job = JobPath::new(input.parse()?, errors);
        nothing_more(input, "`job!` takes one path: `job!(square)`", errors)?;
        Ok(job.map(|job| job.literal(door)).unwrap_or_default())
    })
}

/// `JobCall` with its item type inferred; the arguments, from which the user is to hear of mistakes, lie at `place`.
pub(crate) fn job_call(door: &TokenStream, job: &JobPath, place: Span) -> TokenStream {
    let literal = job.literal(door);
    quote_spanned!(at(place)=> #door::JobCall::new(#literal).infer())
}

#[cfg(test)]
pub(crate) mod tests {
    use quote::quote;

    use super::*;

    /// The texts of the `compile_error!`s in an expansion.
    pub(crate) fn messages(expansion: &TokenStream) -> Vec<String> {
        let text = expansion.to_string();
        let literals = text.split("compile_error ! {").skip(1);
        literals
            .map(|rest| {
                syn::parse_str::<syn::LitStr>(rest.split_once(" }").unwrap().0)
                    .unwrap()
                    .value()
            })
            .collect()
    }

    #[test]
    fn a_path_becomes_the_literal_of_the_jobs_type() {
        let expansion = job(quote!([procession] jobs::sort::<u64>));
        assert_eq!(
            expansion.to_string(),
            quote!(jobs::sort::<u64> {
                job: procession::__private::PhantomData
            })
            .to_string()
        );
    }

    #[test]
    fn what_is_no_path_is_refused() {
        assert_eq!(
            messages(&job(quote!([procession] | x | x + 1))),
            [NO_CLOSURE]
        );
        assert_eq!(
            messages(&job(quote!([procession](move || 3)))),
            [NO_CLOSURE]
        );
        assert_eq!(messages(&job(quote!([procession] square(3)))), [JOB]);
        assert_eq!(messages(&job(quote!([procession] <T as Trait>::f))), [JOB]);
        assert_eq!(messages(&job(quote!([procession]))), [JOB]);
        assert_eq!(
            messages(&job(quote!([procession] square, cube))),
            ["`job!` takes one path: `job!(square)`"]
        );
    }
}
