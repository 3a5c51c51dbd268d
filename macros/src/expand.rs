//! Writes what `#[process_job]` adds beside the function: the job's type and its `Job` impl. Rejects nothing.
//!
//! The type is a brace struct, so that it lives in the type namespace alone and one `use` brings both. Its fields being
//! named, `square { .. }` cannot be mistaken for a call, and its generics are inferred where the call macros write it.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::GenericParam;
use syn::spanned::Spanned as _;

use crate::call::at;
use crate::errors::Errors;
use crate::model::{JobModel, Parameter};
use crate::{args, check, item};

/// The whole of `#[process_job]`: the user's item, and after it either the job or the mistakes.
pub(crate) fn process_job(arguments: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let arguments = args::parse(arguments, &mut errors);
    let function = item::parse(tokens.clone(), &mut errors);
    if let Some(function) = &function {
        check::check(&function.signature, &mut errors);
    }
    let addition = match function {
        Some(function) if errors.is_empty() => expand(&JobModel::new(arguments, function)),
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
        output,
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
    let defaults = defaults(job);
    let types = job.parameters.iter().map(Parameter::target);
    let demands = demands(job);
    // In the result's place, since a private type is reported there.
    let output_type = quote_spanned!(at(output.span())=> type Output = #output;);
    let encode = encode(job, &lenders);
    let call = call(job);
    let allow_deprecated = (!job.deprecated.is_empty()).then(|| quote!(#[allow(deprecated)]));
    quote! {
        #[automatically_derived]
        #allow_deprecated
        impl<#(#generics,)* #(#lender_parameters),*> #door::Job<#item> for #type_name<#(#arguments),*> #demands {
            #output_type
            const NAME: &'static ::core::primitive::str = #name;
            const DEFAULTS: #door::Defaults = #defaults;
            fn fixed_input() -> ::core::option::Option<::core::primitive::usize> {
                #door::total_size([#(#door::fixed_size::<#types>()),*])
            }
            #encode
            #call
        }
    }
}

/// The function's own where clause, and that each parameter can travel.
///
/// Demanded here and nowhere else: the bodies below take it as given, so a type that cannot travel is one mistake, shown
/// where the parameter's type stands.
fn demands(job: &JobModel) -> TokenStream {
    let door = &job.door;
    let own = job
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates)
        .map(|predicate| quote!(#predicate));
    let travels = job.parameters.iter().map(|parameter| match parameter {
        Parameter::ByValue(ty) => quote_spanned!(at(ty.span())=> #ty: #door::Portable),
        Parameter::ByReference(ty) => quote_spanned!(at(ty.span())=> #ty: #door::Lent),
    });
    let demands: Vec<TokenStream> = own.chain(travels).collect();
    if demands.is_empty() {
        return TokenStream::new();
    }
    quote!(where #(#demands),*)
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
    let steps = job.parameters.iter().zip(locals.iter().zip(lenders)).map(
        |(parameter, (local, lender))| match parameter {
            Parameter::ByValue(ty) => {
                quote!(#to.value::<#ty>(#local)?;)
            }
            Parameter::ByReference(ty) => {
                quote!(#to.lend::<#ty, #lender>(#local)?;)
            }
        },
    );
    quote! {
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
        .map(|(parameter, local)| match parameter {
            Parameter::ByValue(ty) => {
                quote!(let #local = #from.value::<#ty>()?;)
            }
            Parameter::ByReference(ty) => {
                quote!(let #local = #from.lent::<#ty>()?;)
            }
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
    let result = quote!(#function #turbofish (#(#passed),*));
    quote! {
        fn call(#from: &mut #door::Decoder<'_>) -> ::core::result::Result<Self::Output, #door::CodecError> {
            #(#steps)*
            ::core::result::Result::Ok(#result)
        }
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
