//! The facts about a job that its expansion is made of. Every token keeps its place in the user's source.
//!
//! Invariant: made only from a signature that `check` has passed.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::ext::IdentExt as _;
use syn::{
    Attribute, FnArg, GenericParam, ReturnType, Signature, Type, TypeReference, Visibility,
    WhereClause,
};

use crate::args::Arguments;
use crate::item::JobFunction;
use crate::path;
use crate::role::Role;

/// A job, ready to be written down.
pub(crate) struct JobModel {
    pub(crate) visibility: Visibility,
    /// `#[deprecated]`, which the job's type carries as well, so that the call macros warn too.
    pub(crate) deprecated: Vec<Attribute>,
    pub(crate) function: Ident,
    pub(crate) type_name: Ident,
    /// What errors and statistics show.
    pub(crate) name: String,
    /// Type and const parameters. The function's lifetimes are left behind: nothing in the expansion borrows by them.
    pub(crate) generics: Vec<GenericParam>,
    pub(crate) where_clause: Option<WhereClause>,
    pub(crate) role: Role,
    /// What a [`Role::Borrower`] borrows.
    pub(crate) state: Option<Type>,
    /// The caller's.
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) output: Type,
    pub(crate) timeout_nanos: Option<u64>,
    pub(crate) retries: Option<u32>,
    /// The path of the runtime's hidden module.
    pub(crate) door: TokenStream,
}

/// One parameter of the function; its pattern is of no interest to a caller.
pub(crate) enum Parameter {
    /// `x: T`
    ByValue(Type),
    /// `x: &T`
    ByReference(Type),
}

impl Parameter {
    /// The type that travels.
    pub(crate) fn target(&self) -> &Type {
        match self {
            Self::ByValue(ty) | Self::ByReference(ty) => ty,
        }
    }
}

/// How a parameter's type says it is passed.
pub(crate) enum Passing<'t> {
    ByValue(&'t Type),
    /// The reference, and what it refers to.
    ByReference(&'t TypeReference, &'t Type),
}

/// Looks through parentheses and through the invisible groups that `macro_rules` leave around a `$t:ty`.
pub(crate) fn passing(ty: &Type) -> Passing<'_> {
    match bare(ty) {
        Type::Reference(reference) => Passing::ByReference(reference, bare(&reference.elem)),
        owned => Passing::ByValue(owned),
    }
}

fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Paren(paren) => bare(&paren.elem),
        Type::Group(group) => bare(&group.elem),
        ty => ty,
    }
}

impl JobModel {
    pub(crate) fn new(arguments: Arguments, role: Role, function: JobFunction) -> Self {
        let JobFunction {
            attributes,
            visibility,
            signature,
        } = function;
        let Signature {
            ident,
            generics,
            inputs,
            output,
            ..
        } = signature;
        let (lent, sent): (Vec<_>, Vec<_>) = inputs
            .iter()
            .filter_map(parameter)
            .enumerate()
            .partition(|(place, _)| *place < role.n_lent());
        Self {
            visibility,
            deprecated: attributes
                .into_iter()
                .filter(|attribute| attribute.path().is_ident("deprecated"))
                .collect(),
            type_name: arguments.type_name.unwrap_or_else(|| ident.clone()),
            name: arguments
                .name
                .map_or_else(|| ident.unraw().to_string(), |name| name.value()),
            function: ident,
            generics: generics
                .params
                .into_iter()
                .filter(|parameter| !matches!(parameter, GenericParam::Lifetime(_)))
                .collect(),
            where_clause: generics.where_clause,
            role,
            state: lent
                .into_iter()
                .map(|(_, parameter)| parameter.target().clone())
                .next(),
            parameters: sent.into_iter().map(|(_, parameter)| parameter).collect(),
            output: match output {
                ReturnType::Default => syn::parse_quote!(()),
                ReturnType::Type(_, ty) => *ty,
            },
            timeout_nanos: arguments.timeout_nanos,
            retries: arguments.retries,
            door: path::door(arguments.krate.as_ref()),
        }
    }

    /// Whether the result is written as a `Result`, by whatever path.
    pub(crate) fn is_fallible(&self) -> bool {
        match bare(&self.output) {
            Type::Path(path) => path
                .path
                .segments
                .last()
                .is_some_and(|last| last.ident == "Result"),
            _ => false,
        }
    }

    /// The names of the type and const parameters, as arguments: `T, N`.
    pub(crate) fn generic_arguments(&self) -> impl Iterator<Item = TokenStream> {
        self.generics.iter().map(|parameter| match parameter {
            GenericParam::Type(parameter) => {
                let name = &parameter.ident;
                quote!(#name)
            }
            GenericParam::Const(parameter) => {
                let name = &parameter.ident;
                quote!(#name)
            }
            GenericParam::Lifetime(parameter) => quote!(#parameter),
        })
    }
}

fn parameter(parameter: &FnArg) -> Option<Parameter> {
    let FnArg::Typed(parameter) = parameter else {
        return None;
    };
    Some(match passing(&parameter.ty) {
        Passing::ByValue(ty) => Parameter::ByValue(ty.clone()),
        Passing::ByReference(_, target) => Parameter::ByReference(target.clone()),
    })
}
