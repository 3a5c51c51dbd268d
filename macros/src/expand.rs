//! Writes what `#[process_job]` adds beside the function: the job's type and its `Job` impl. Rejects nothing.
//!
//! The type is a brace struct, so that it lives in the type namespace alone and one `use` brings both. Its fields being
//! named, `square { .. }` cannot be mistaken for a call, and its generics are inferred where the call macros write it.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens as _, format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{GenericParam, Type};

use crate::call::at;
use crate::errors::Errors;
use crate::model::{JobModel, Parameter};
use crate::role::Role;
use crate::{args, check, item};

/// The whole of `#[process_job]`: the user's item, and after it either the job or the mistakes.
pub(crate) fn process_job(arguments: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = args::parse(arguments, &mut errors);
    let function = item::parse(tokens.clone(), &mut errors);
    let role = Role::new(&arguments, &mut errors);
    if let Some(function) = &function {
        check::check(&function.signature, role, &mut errors);
        role.check(&arguments, &function.signature, &mut errors);
    }
    let addition = match function {
        Some(function) if errors.is_empty() => expand(&JobModel::new(arguments, role, function)),
        _ => errors.into_items(),
    };
    quote!(#tokens #addition)
}

fn expand(job: &JobModel) -> TokenStream {
    let job_type = job_type(job);
    let job_impl = job_impl(job);
    quote! {
        #job_type
        const _: () = { #job_impl };
    }
}

fn job_type(job: &JobModel) -> TokenStream {
    let JobModel {
        visibility,
        deprecated,
        type_name,
        door,
        ..
    } = job;
    let parameters = job.generics.iter().map(|parameter| match parameter {
        // Bounds belong to the impl: a struct needs none to be named.
        GenericParam::Type(parameter) => {
            let name = &parameter.ident;
            quote!(#name)
        }
        parameter => quote!(#parameter),
    });
    let type_parameters = job.generics.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        GenericParam::Const(_) | GenericParam::Lifetime(_) => None,
    });
    quote! {
        #[doc(hidden)]
        #[allow(non_camel_case_types, dead_code, missing_copy_implementations, missing_debug_implementations)]
        #(#deprecated)*
        #visibility struct #type_name<#(#parameters),*> {
            #[doc(hidden)]
            pub job: #door::PhantomData<fn() -> (#(#type_parameters,)*)>,
        }
    }
}

fn job_impl(job: &JobModel) -> TokenStream {
    let JobModel {
        type_name,
        name,
        generics,
        door,
        ..
    } = job;
    let arguments = job.generic_arguments();
    let lenders = lenders(job);
    let lender_parameters =
        job.parameters
            .iter()
            .zip(&lenders)
            .filter_map(|(parameter, lender)| match parameter {
                Parameter::ByValue(_) => None,
                Parameter::ByReference(ty) => Some(quote!(#lender: #door::Lend<#ty>)),
            });
    let item = item(job, &lenders);
    let demands = demands(job);
    let (implemented, facts) = match job.role {
        Role::Job | Role::Borrower => (quote!(Job<#item>), job_facts(job)),
        Role::Initializer => (
            quote!(Initializer<#item, #door::Marked>),
            initializer_facts(job),
        ),
    };
    let encode = encode(job, &lenders);
    let call = call(job);
    let allow_deprecated = (!job.deprecated.is_empty()).then(|| quote!(#[allow(deprecated)]));
    quote! {
        #[automatically_derived]
        #allow_deprecated
        impl<#(#generics,)* #(#lender_parameters),*> #door::#implemented for #type_name<#(#arguments),*> #demands {
            const NAME: &'static ::core::primitive::str = #name;
            #facts
            #encode
            #call
        }
    }
}

fn job_facts(job: &JobModel) -> TokenStream {
    let JobModel { output, door, .. } = job;
    // In the result's place, since a private type is reported there.
    let output_type = quote_spanned!(at(output.span())=> type Output = #output;);
    let state_type = match &job.state {
        Some(state) => quote_spanned!(at(state.span())=> type State = #state;),
        None => quote!(
            type State = ();
        ),
    };
    let defaults = defaults(job);
    let types = job.parameters.iter().map(Parameter::target);
    quote! {
        #output_type
        #state_type
        const DEFAULTS: #door::Defaults = #defaults;
        fn fixed_input() -> ::core::option::Option<::core::primitive::usize> {
            #door::total_size([#(#door::fixed_size::<#types>()),*])
        }
    }
}

fn initializer_facts(job: &JobModel) -> TokenStream {
    let JobModel { output, door, .. } = job;
    let state = match job.is_fallible() {
        true => quote_spanned!(at(output.span())=> <#output as #door::Fallible>::Made),
        false => quote!(#output),
    };
    quote_spanned!(at(output.span())=> type State = #state;)
}

/// The function's own where clause, that each parameter can travel, and that the error of an initializer can be shown.
///
/// Demanded here and nowhere else: the bodies take it as given, so a type that cannot travel is one mistake, shown
/// where the type stands.
fn demands(job: &JobModel) -> TokenStream {
    let door = &job.door;
    let own = job
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates)
        .map(|predicate| quote!(#predicate));
    let parameters = job
        .parameters
        .iter()
        .map(|parameter| demand(parameter.target(), passing(parameter, door)));
    let fallible = (job.role == Role::Initializer && job.is_fallible())
        .then(|| demand(&job.output, quote!(#door::Fallible)));
    let demands: Vec<TokenStream> = own.chain(parameters).chain(fallible).collect();
    if demands.is_empty() {
        return TokenStream::new();
    }
    quote!(where #(#demands),*)
}

/// `ty` and `bound`, which is laid over `ty` from its first token to its last, since the compiler underlines the bound.
fn demand(ty: &Type, bound: TokenStream) -> TokenStream {
    let first = ty.span();
    let last = ty
        .to_token_stream()
        .into_iter()
        .last()
        .map_or(first, |token| token.span());
    let mut bound: Vec<TokenTree> = bound.into_iter().collect();
    let end = bound.len() - 1;
    for (index, token) in bound.iter_mut().enumerate() {
        // Located, not replaced: each token keeps its hygiene, so that a `$crate` stays what it is.
        token.set_span(
            token
                .span()
                .located_at(if index == end { last } else { first }),
        );
    }
    quote!(#ty: #(#bound)*)
}

/// For each parameter by reference, the name of an own type parameter for what the caller passes.
fn lenders(job: &JobModel) -> Vec<Ident> {
    (0..job.parameters.len())
        .map(|index| format_ident!("__Lender{index}", span = Span::mixed_site()))
        .collect()
}

/// What an item of this job is: a plain value for one parameter, a tuple for several, `()` for none.
fn item(job: &JobModel, lenders: &[Ident]) -> TokenStream {
    let places = job
        .parameters
        .iter()
        .zip(lenders)
        .map(|(parameter, lender)| match parameter {
            Parameter::ByValue(ty) => quote!(#ty),
            Parameter::ByReference(_) => quote!(#lender),
        });
    match job.parameters.len() {
        1 => quote!(#(#places)*),
        _ => quote!((#(#places),*)),
    }
}

fn defaults(job: &JobModel) -> TokenStream {
    let door = &job.door;
    let timeout = job
        .timeout_nanos
        .map(|nanos| quote!(.timeout_nanos(#nanos)));
    let retries = job.retries.map(|retries| quote!(.retries(#retries)));
    quote!(#door::Defaults::NONE #timeout #retries)
}

fn encode(job: &JobModel, lenders: &[Ident]) -> TokenStream {
    let door = &job.door;
    let item_type = item(job, lenders);
    let locals = locals(job);
    let (item, to) = (local("item"), local("to"));
    let pattern = match &locals[..] {
        [only] => quote!(#only),
        several => quote!((#(#several),*)),
    };
    let steps = job
        .parameters
        .iter()
        .zip(&locals)
        .map(|(parameter, local)| {
            let (ty, passing) = (parameter.target(), passing(parameter, door));
            quote!(<#ty as #passing>::encode(#local, #to)?;)
        });
    quote! {
        #[inline]
        fn encode<'__item>(
            #item: &'__item #item_type,
            #to: &mut #door::Encoder<'__item>,
        ) -> ::core::result::Result<(), #door::CodecError> {
            let #pattern = #item;
            #(#steps)*
            ::core::result::Result::Ok(())
        }
    }
}

fn call(job: &JobModel) -> TokenStream {
    let JobModel { function, door, .. } = job;
    let locals = locals(job);
    let from = local("from");
    let steps = job
        .parameters
        .iter()
        .zip(&locals)
        .map(|(parameter, local)| {
            let (ty, passing) = (parameter.target(), passing(parameter, door));
            quote!(let #local = <#ty as #passing>::decode(#from)?;)
        });
    let passed = job
        .parameters
        .iter()
        .zip(&locals)
        .map(|(parameter, local)| match parameter {
            Parameter::ByValue(_) => quote!(#local),
            Parameter::ByReference(_) => quote!(&*#local),
        });
    let arguments = job.generic_arguments();
    // With the arguments of the type written out, also those that no parameter mentions are known.
    let turbofish = (!job.generics.is_empty()).then(|| quote!(::<#(#arguments),*>));
    let state = local("state");
    let lent = job.state.as_ref().map(|_| quote!(#state,));
    let result = quote!(#function #turbofish (#lent #(#passed),*));
    let body = quote! {
        #(#steps)*
        #door::Decoder::finish(#from)?;
    };
    if job.role == Role::Initializer {
        let output = &job.output;
        let result = match job.is_fallible() {
            true => quote!(<#output as #door::Fallible>::made(#result)),
            false => quote!(::core::result::Result::Ok(#result)),
        };
        return quote! {
            fn call(#from: &mut #door::Decoder<'_>) -> ::core::result::Result<#door::Made<Self::State>, #door::CodecError> {
                #body
                ::core::result::Result::Ok(#result)
            }
        };
    }
    let state = match job.state {
        Some(_) => quote!(#state),
        None => quote!(_),
    };
    quote! {
        #[inline]
        fn call(
            #state: &mut Self::State,
            #from: &mut #door::Decoder<'_>,
        ) -> ::core::result::Result<Self::Output, #door::CodecError> {
            #body
            ::core::result::Result::Ok(#result)
        }
    }
}

/// The trait that has a parameter's type travel.
fn passing(parameter: &Parameter, door: &TokenStream) -> TokenStream {
    match parameter {
        Parameter::ByValue(_) => quote!(#door::ByValue),
        Parameter::ByReference(_) => quote!(#door::ByReference),
    }
}

fn locals(job: &JobModel) -> Vec<Ident> {
    (0..job.parameters.len())
        .map(|index| local(&format!("argument_{index}")))
        .collect()
}

/// A local variable that no name of the user's can mean, nor be hidden by: its hygiene is the macro's own.
fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}
