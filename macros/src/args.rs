//! The grammar of `#[process_job(…)]`'s own arguments.

use proc_macro2::{Ident, TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{LitInt, LitStr, Token};

use crate::duration;
use crate::errors::Errors;

const EXPECTED: &str = r#"expected `timeout = "2s"`, `retries = 1`, `name = "…"`, `crate = path`, `type = Name`, `state` or `initializer`"#;

/// What the attribute said; `None` where it is silent.
#[derive(Default)]
pub(crate) struct Arguments {
    pub(crate) timeout_nanos: Option<u64>,
    pub(crate) retries: Option<u32>,
    pub(crate) name: Option<LitStr>,
    pub(crate) krate: Option<syn::Path>,
    pub(crate) type_name: Option<Ident>,
    /// The words themselves, each where it stands.
    pub(crate) state: Option<Ident>,
    pub(crate) initializer: Option<Ident>,
}

/// Reads every argument, also those after a wrong one.
pub(crate) fn parse(tokens: TokenStream, errors: &mut Errors) -> Arguments {
    let mut arguments = Arguments::default();
    for argument in split_at_commas(tokens) {
        if let Err(error) = (|input: ParseStream<'_>| arguments.read(input)).parse2(argument) {
            errors.push(error);
        }
    }
    arguments
}

impl Arguments {
    fn read(&mut self, input: ParseStream<'_>) -> syn::Result<()> {
        // `crate` and `type` are keywords, hence `parse_any`.
        let key = input
            .call(Ident::parse_any)
            .map_err(|error| syn::Error::new(error.span(), EXPECTED))?;
        if let Some(place) = self.word(&key) {
            if !input.is_empty() {
                input.parse::<TokenStream>()?;
                let message = format!("`{key}` stands alone, without a value");
                return Err(syn::Error::new(key.span(), message));
            }
            return once(&key, place, key.clone());
        }
        let known = ["timeout", "retries", "name", "crate", "type"]
            .iter()
            .any(|name| key == name);
        if !known || !input.peek(Token![=]) {
            // One message for the whole argument, under its name.
            input.parse::<TokenStream>()?;
            let message = if known {
                format!("`{key}` needs a value: {EXPECTED}")
            } else {
                format!("unknown argument `{key}`: {EXPECTED}")
            };
            return Err(syn::Error::new(key.span(), message));
        }
        input.parse::<Token![=]>()?;
        match key.to_string().as_str() {
            "timeout" => once(&key, &mut self.timeout_nanos, timeout(input)?),
            "retries" => once(&key, &mut self.retries, retries(input)?),
            "name" => once(&key, &mut self.name, name(input)?),
            "crate" => once(&key, &mut self.krate, krate(input)?),
            _ => once(&key, &mut self.type_name, type_name(input)?),
        }
    }
}

impl Arguments {
    /// The place of an argument that is one word.
    fn word(&mut self, key: &Ident) -> Option<&mut Option<Ident>> {
        if key == "state" {
            Some(&mut self.state)
        } else if key == "initializer" {
            Some(&mut self.initializer)
        } else {
            None
        }
    }
}

fn once<T>(key: &Ident, place: &mut Option<T>, value: T) -> syn::Result<()> {
    if place.is_some() {
        return Err(syn::Error::new(
            key.span(),
            format!("`{key}` is given twice: keep one"),
        ));
    }
    *place = Some(value);
    Ok(())
}

fn timeout(input: ParseStream<'_>) -> syn::Result<u64> {
    let text: LitStr = whole(
        input,
        &format!("a timeout is a string: {}", duration::EXAMPLES),
    )?;
    duration::nanoseconds(&text.value()).map_err(|message| syn::Error::new(text.span(), message))
}

fn retries(input: ParseStream<'_>) -> syn::Result<u32> {
    const MESSAGE: &str = "retries are a whole number from 0 to 4294967295, such as `retries = 1`";
    let number: LitInt = whole(input, MESSAGE)?;
    if !matches!(number.suffix(), "" | "u32") {
        return Err(syn::Error::new(number.span(), MESSAGE));
    }
    number
        .base10_parse()
        .map_err(|_| syn::Error::new(number.span(), MESSAGE))
}

fn name(input: ParseStream<'_>) -> syn::Result<LitStr> {
    const MESSAGE: &str = r#"a name is a string that is not empty, such as `name = "resize"`"#;
    let name: LitStr = whole(input, MESSAGE)?;
    if name.value().is_empty() {
        return Err(syn::Error::new(name.span(), MESSAGE));
    }
    Ok(name)
}

fn krate(input: ParseStream<'_>) -> syn::Result<syn::Path> {
    const MESSAGE: &str =
        "`crate` is the path of the `procession` crate, such as `crate = my_reexports::procession`";
    let begin = input.fork();
    match input.call(syn::Path::parse_mod_style) {
        Ok(path) if input.is_empty() => Ok(path),
        _ => wrong(&begin, input, MESSAGE),
    }
}

fn type_name(input: ParseStream<'_>) -> syn::Result<Ident> {
    whole(
        input,
        "`type` is a name for the job's type, such as `type = HashJob`",
    )
}

/// A value that fills its argument to the end.
fn whole<T: syn::parse::Parse>(input: ParseStream<'_>, message: &str) -> syn::Result<T> {
    let begin = input.fork();
    match input.parse() {
        Ok(value) if input.is_empty() => Ok(value),
        _ => wrong(&begin, input, message),
    }
}

/// Reports the whole value, and reads it away so that the parser adds no complaint about leftovers.
fn wrong<T>(begin: ParseStream<'_>, input: ParseStream<'_>, message: &str) -> syn::Result<T> {
    input.parse::<TokenStream>()?;
    let value: TokenStream = begin.parse()?;
    if value.is_empty() {
        return Err(syn::Error::new(begin.span(), message));
    }
    Err(syn::Error::new_spanned(value, message))
}

fn split_at_commas(tokens: TokenStream) -> Vec<TokenStream> {
    let is_comma =
        |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut arguments: Vec<TokenStream> = tokens
        .split(is_comma)
        .map(|argument| argument.iter().cloned().collect())
        .collect();
    // Nothing at all, or one comma at the end.
    if arguments.last().is_some_and(TokenStream::is_empty) {
        arguments.pop();
    }
    arguments
}

#[cfg(test)]
mod tests {
    use quote::{ToTokens as _, quote};

    use super::*;

    fn accepted(tokens: TokenStream) -> Arguments {
        let mut errors = Errors::default();
        let arguments = parse(tokens, &mut errors);
        assert_eq!(errors.messages(), [""; 0]);
        arguments
    }

    fn refused(tokens: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        parse(tokens, &mut errors);
        errors.messages()
    }

    #[test]
    fn silence_leaves_everything_open() {
        let Arguments {
            timeout_nanos: None,
            retries: None,
            name: None,
            krate: None,
            type_name: None,
            state: None,
            initializer: None,
        } = accepted(quote!())
        else {
            panic!("something was set");
        };
    }

    #[test]
    fn every_argument_is_read_in_any_order_with_a_trailing_comma() {
        let arguments = accepted(
            quote!(type = HashJob, crate = crate::deps::procession, name = "hash", retries = 3, timeout = "2s",),
        );
        assert_eq!(arguments.timeout_nanos, Some(2_000_000_000));
        assert_eq!(arguments.retries, Some(3));
        assert_eq!(arguments.name.unwrap().value(), "hash");
        assert_eq!(
            arguments.krate.to_token_stream().to_string(),
            quote!(crate::deps::procession).to_string()
        );
        assert_eq!(arguments.type_name.unwrap(), "HashJob");
    }

    #[test]
    fn a_word_stands_alone() {
        let arguments = accepted(quote!(state, initializer));
        assert!(arguments.state.is_some() && arguments.initializer.is_some());
        assert_eq!(
            refused(quote!(state = Db, initializer(open), state)),
            [
                "`state` stands alone, without a value",
                "`initializer` stands alone, without a value"
            ]
        );
        assert_eq!(
            refused(quote!(state, state)),
            ["`state` is given twice: keep one"]
        );
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let messages = refused(quote!(
            timeout = 2,
            retry = 1,
            retries = -1,
            retries = 1,
            retries = 2,
            name,
            7
        ));
        assert_eq!(messages.len(), 6, "{messages:#?}");
        assert!(messages[0].starts_with("a timeout is a string"));
        assert!(messages[1].starts_with("unknown argument `retry`: expected `timeout = "));
        assert!(messages[2].starts_with("retries are a whole number"));
        assert_eq!(messages[3], "`retries` is given twice: keep one");
        assert!(messages[4].starts_with("`name` needs a value"));
        assert_eq!(messages[5], EXPECTED);
    }

    #[test]
    fn a_value_fills_its_argument() {
        for tokens in [
            quote!(timeout = "2s" * 2),
            quote!(timeout =),
            quote!(retries = 1u8),
            quote!(retries = 4294967296),
            quote!(name = ""),
            quote!(name = hash),
            quote!(crate = "procession"),
            quote!(crate = a::b<c>),
            quote!(type = a::B),
            quote!(type = "B"),
        ] {
            assert_eq!(refused(tokens.clone()).len(), 1, "{tokens}");
        }
    }
}
