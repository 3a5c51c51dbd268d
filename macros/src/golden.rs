//! Expansions of `#[process_job]` and `#[process_object]` against the golden files in `tests/expand/`, which are read in review like code.
//!
//! After a change on purpose: `UPDATE_EXPANSIONS=1 cargo test -p procession-macros golden`. To see what a function costs:
//! `cargo test -p procession-macros expansion_size -- --nocapture`.

use std::path::{Path, PathBuf};
use std::{env, fs};

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote};

use crate::{expand, object};

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
    let expand = |item: syn::Item| match item {
        syn::Item::Fn(mut function) => {
            let arguments = take_attribute(&mut function.attrs, "process_job");
            expand::process_job(arguments, function.into_token_stream())
        }
        syn::Item::Impl(mut block) => {
            let arguments = take_attribute(&mut block.attrs, "process_object");
            object::process_object(arguments, block.into_token_stream())
        }
        _ => panic!("{} holds more than jobs and objects", input.display()),
    };
    file.items.into_iter().map(expand).collect()
}

/// Takes out the attribute of this name, and gives its arguments.
fn take_attribute(attributes: &mut Vec<syn::Attribute>, name: &str) -> TokenStream {
    let is_it = |attribute: &syn::Attribute| attribute.path().is_ident(name);
    let place = attributes.iter().position(is_it).unwrap();
    match attributes.remove(place).meta {
        syn::Meta::List(list) => list.tokens,
        _ => TokenStream::new(),
    }
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
    let of_job = expand::process_job(quote!(timeout = "1s", retries = 1), job.clone());
    let block = quote!(
        impl Object {
            fn new(a: A) -> Self {}
            fn method(&mut self, b: B) -> C {}
        }
    );
    let of_object = object::process_object(TokenStream::new(), block.clone());
    let added = |expansion, item| flatten(expansion).split_off(flatten(item).len());
    let ours = [added(of_job, job), added(of_object, block)].concat();
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

fn n_functions(item: &syn::Item) -> usize {
    match item {
        syn::Item::Impl(block) => block.items.len(),
        _ => 1,
    }
}

#[test]
fn expansion_size() {
    for (input, tokens) in expansions() {
        let item = fs::read_to_string(&input).unwrap();
        let items = syn::parse_file(&item).unwrap().items;
        let n_functions: usize = items.iter().map(n_functions).sum();
        let own = flatten(item.parse().unwrap()).len();
        let n_tokens = (flatten(tokens.clone()).len() - own) / n_functions;
        let n_lines = (pretty(&tokens).lines().count() - item.lines().count()) / n_functions;
        println!(
            "{}: {n_lines} lines, {n_tokens} tokens beside each function",
            input.file_stem().unwrap().display()
        );
        // The cost of a job or a method to its users' builds: a change that goes past this wants a reason.
        assert!(n_tokens < 700, "{n_tokens}");
    }
}
