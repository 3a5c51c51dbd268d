//! Expansions of `#[process_job]` against the golden files in `tests/expand/`, which are read in review like code.
//!
//! After a change on purpose: `UPDATE_EXPANSIONS=1 cargo test -p procession-macros golden`. To see what a job costs:
//! `cargo test -p procession-macros expansion_size -- --nocapture`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote};

use crate::expand;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/expand");

/// Every input, with what the attribute makes of it.
fn expansions() -> Vec<(PathBuf, TokenStream)> {
    let files = fs::read_dir(FOLDER)
        .unwrap()
        .map(|file| file.unwrap().path());
    let is_input = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rs");
    let mut inputs: Vec<PathBuf> = files.filter(is_input).collect();
    inputs.sort();
    inputs
        .into_iter()
        .map(|path| (path.clone(), expansion(&path)))
        .collect()
}

fn expansion(input: &Path) -> TokenStream {
    let file = syn::parse_file(&fs::read_to_string(input).unwrap()).unwrap();
    let expand = |item: syn::Item| {
        let syn::Item::Fn(mut function) = item else {
            panic!("{} holds more than functions", input.display())
        };
        let is_ours = |attribute: &syn::Attribute| attribute.path().is_ident("process_job");
        let attribute = function
            .attrs
            .remove(function.attrs.iter().position(is_ours).unwrap());
        let arguments = match attribute.meta {
            syn::Meta::List(list) => list.tokens,
            _ => TokenStream::new(),
        };
        expand::process_job(arguments, function.into_token_stream())
    };
    file.items.into_iter().map(expand).collect()
}

fn pretty(tokens: &TokenStream) -> String {
    prettyplease::unparse(&syn::parse2(tokens.clone()).unwrap())
}

#[test]
fn golden_files_show_the_expansions() {
    let expansions = expansions();
    assert!(!expansions.is_empty());
    for (input, tokens) in expansions {
        let golden = input.with_extension("expanded");
        let text = pretty(&tokens);
        if env::var_os("UPDATE_EXPANSIONS").is_some() {
            fs::write(&golden, &text).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(text == expected, "{} is not:\n{text}", golden.display());
    }
}

#[test]
fn nothing_is_named_that_a_scope_could_redefine() {
    // No prelude name of its own, so that whatever is found is ours.
    let job = quote!(
        fn job<T>(a: A, b: &B, c: T) -> C {}
    );
    let expansion = expand::process_job(quote!(timeout = "1s", retries = 1), job.clone());
    let ours: Vec<TokenTree> = flatten(expansion).split_off(flatten(job).len());
    let banned = [
        "std",
        "core",
        "alloc",
        "procession",
        "Option",
        "Some",
        "None",
        "Result",
        "Ok",
        "Err",
        "Vec",
        "String",
        "Box",
        "Into",
        "From",
        "Default",
        "Clone",
        "Copy",
        "Send",
        "Sync",
        "Sized",
        "Iterator",
        "Fn",
        "FnOnce",
        "Drop",
        "drop",
        "str",
        "usize",
        "u8",
        "u32",
        "u64",
        "bool",
        "PhantomData",
    ];
    let mut before: Option<String> = None;
    for token in ours {
        let text = token.to_string();
        let is_absolute = before.as_deref() == Some(":");
        assert!(
            is_absolute || !banned.contains(&text.as_str()),
            "`{text}` stands alone"
        );
        before = Some(text);
    }
}

fn flatten(tokens: TokenStream) -> Vec<TokenTree> {
    let mut flat = Vec::new();
    for token in tokens {
        match token {
            TokenTree::Group(group) => flat.extend(flatten(group.stream())),
            token => flat.push(token),
        }
    }
    flat
}

#[test]
fn expansion_size() {
    for (input, tokens) in expansions() {
        let item = fs::read_to_string(&input).unwrap();
        let n_functions = syn::parse_file(&item).unwrap().items.len();
        let own = flatten(item.parse().unwrap()).len();
        let n_tokens = (flatten(tokens.clone()).len() - own) / n_functions;
        let n_lines = (pretty(&tokens).lines().count() - item.lines().count()) / n_functions;
        println!(
            "{}: {n_lines} lines, {n_tokens} tokens beside the function",
            input.file_stem().unwrap().display()
        );
        // The cost of a job to its users' builds: a change that goes past this wants a reason.
        assert!(n_tokens < 700, "{n_tokens}");
    }
}
