//! `#[derive(Shareable)]`: vouches for a struct of plain data, and has the compiler check what it vouches for.
//!
//! The expansion implements `Pod`, which is unsafe to implement. That is sound, because the compiler is asked, in the same
//! expansion, each of its conditions:
//!
//! | `Pod` demands | seen to by |
//! |---|---|
//! | any bit pattern is a value, no interior mutability | each field has to be `Shareable`, which is `Pod` |
//! | no field that is not looked at | a pattern that names every field, with its type |
//! | no padding | each field begins where the one before it ends, and the struct ends with the last; and its fields have as many bytes as it has |
//! | a layout that is fixed | `#[repr(C)]` or `#[repr(transparent)]`, looked for here |
//! | `Copy`, `'static` | bounds of `Pod` itself |
//!
//! Padding is looked for twice: first with `core`, whose assertions say what to write, then without any path, since a crate that
//! calls itself `core` could put anything in their place.
//!
//! What the tokens show is refused here, with what to write instead; what only the compiler knows (types, sizes) it
//! reports at the field in question.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Attribute, Field, Fields, Generics, Item, ItemStruct, Member, Token, Type};

use crate::call::at;
use crate::errors::Errors;
use crate::path;

const PADDING_BEFORE: &str = "there is padding before this field, bytes that hold nothing: put the fields with the largest \
    alignment first, or fill the gap with a field of as many bytes as it has, `_padding: [u8; 1]`, `[u8; 2]` …";

const PADDING_AFTER: &str = "there is padding after the last field, bytes that hold nothing: add a field of as many bytes \
    as it has, `_padding: [u8; 1]`, `[u8; 2]` …";

/// The items that stand beside the user's struct, or the mistakes.
pub(crate) fn shareable(tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let model = read(tokens, &mut errors);
    match model {
        Some(model) if errors.is_empty() => expand(&model),
        _ => errors.into_items(),
    }
}

struct Model {
    name: Ident,
    fields: Vec<(Member, Type)>,
    is_transparent: bool,
    is_deprecated: bool,
    /// The path of the runtime's hidden module.
    door: TokenStream,
}

enum Repr {
    C,
    Transparent,
}

fn read(tokens: TokenStream, errors: &mut Errors) -> Option<Model> {
    let item = match syn::parse2(tokens) {
        Ok(Item::Struct(item)) => item,
        Ok(Item::Enum(item)) => {
            errors.refuse(
                item.enum_token,
                "an enum cannot be shared: another process could write a number that is none of its variants; \
                    share the number, such as a `u32`, and convert with `TryFrom`",
            );
            return None;
        }
        Ok(Item::Union(item)) => {
            errors.refuse(
                item.union_token,
                "a union cannot be shared: nobody knows which of its bytes hold something; share a struct, or an array of bytes",
            );
            return None;
        }
        Ok(other) => {
            errors.refuse(other, "`Shareable` is derived for structs");
            return None;
        }
        Err(error) => {
            errors.push(error);
            return None;
        }
    };
    has_no_parameters(&item.generics, errors);
    fields_are_owned(&item.fields, errors);
    let krate = krate(&item.attrs, errors);
    let repr = repr(&item, errors)?;
    let is_deprecated = |attributes: &[Attribute]| {
        attributes
            .iter()
            .any(|attribute| attribute.path().is_ident("deprecated"))
    };
    Some(Model {
        is_transparent: matches!(repr, Repr::Transparent),
        is_deprecated: is_deprecated(&item.attrs)
            || item.fields.iter().any(|field| is_deprecated(&field.attrs)),
        fields: members(&item.fields),
        name: item.ident,
        door: path::door(krate.as_ref()),
    })
}

fn has_no_parameters(generics: &Generics, errors: &mut Errors) {
    for parameter in &generics.params {
        errors.refuse(
            parameter,
            "a shared struct cannot be generic: its layout has to be known here; write one struct for each type",
        );
    }
}

/// What is plainly a pointer is told as such; all other types are the compiler's to judge.
fn fields_are_owned(fields: &Fields, errors: &mut Errors) {
    for Field { ty, .. } in fields {
        if matches!(ty, Type::Reference(_) | Type::Ptr(_) | Type::FnPtr(_)) {
            errors.refuse(
                ty,
                "a pointer means nothing in another process: put the data itself here, such as an array of fixed length",
            );
        }
    }
}

fn repr(item: &ItemStruct, errors: &mut Errors) -> Option<Repr> {
    let mut found = None;
    let reprs = item
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("repr"));
    for attribute in reprs {
        // A malformed `repr` is the compiler's to report.
        let _ = attribute.parse_nested_meta(|meta| {
            if meta.path.is_ident("C") {
                found = Some(Repr::C);
            } else if meta.path.is_ident("transparent") {
                found = Some(Repr::Transparent);
            } else if meta.input.peek(syn::token::Paren) {
                // `align(8)`, `packed(2)`
                meta.input.parse::<proc_macro2::Group>()?;
            }
            Ok(())
        });
    }
    if found.is_none() {
        errors.refuse(
            &item.ident,
            "a shared struct needs a layout that is fixed: write `#[repr(C)]` above it",
        );
    }
    found
}

/// `#[shareable(crate = path)]`
fn krate(attributes: &[Attribute], errors: &mut Errors) -> Option<syn::Path> {
    let mut found = None;
    for attribute in attributes {
        if !attribute.path().is_ident("shareable") {
            continue;
        }
        let path = attribute.parse_args_with(|input: syn::parse::ParseStream<'_>| {
            input.parse::<Token![crate]>()?;
            input.parse::<Token![=]>()?;
            input.call(syn::Path::parse_mod_style)
        });
        match path {
            Ok(_) if found.is_some() => errors.refuse(attribute, "`crate` is given twice: keep one"),
            Ok(path) => found = Some(path),
            Err(_) => errors.refuse(
                attribute,
                "expected the path of the `procession` crate, such as `#[shareable(crate = my_reexports::procession)]`",
            ),
        }
    }
    found
}

fn members(fields: &Fields) -> Vec<(Member, Type)> {
    fields
        .members()
        .zip(fields)
        .map(|(member, field)| (member, field.ty.clone()))
        .collect()
}

fn expand(model: &Model) -> TokenStream {
    let Model { name, door, .. } = model;
    let fields = fields_are_plain(model);
    let padding = no_padding(model);
    let bytes = as_many_bytes(model);
    let allow_deprecated = model.is_deprecated.then(|| quote!(#[allow(deprecated)]));
    quote! {
        #allow_deprecated
        const _: () = {
            #fields
            #padding
            #bytes
            #[automatically_derived]
            unsafe impl #door::Zeroable for #name {}
            #[automatically_derived]
            unsafe impl #door::Pod for #name {}
        };
    }
}

/// A function that takes the struct apart: it compiles if there are these fields, of these types, and no others.
///
/// That what is `Shareable` has the traits about to be implemented is written down here as well, since the path to them
/// is the user's to say.
fn fields_are_plain(model: &Model) -> TokenStream {
    let Model {
        name, fields, door, ..
    } = model;
    let variables: Vec<Ident> = (0..fields.len())
        .map(|index| format_ident!("field_{index}", span = Span::mixed_site()))
        .collect();
    let members = fields.iter().map(|(member, _)| member);
    let checks = fields.iter().zip(&variables).map(|((_, ty), variable)| {
        // In the type's place, where a type that is not plain is reported.
        let place = at(ty.span());
        quote_spanned!(place=> plain_data::<#ty>(#variable);)
    });
    quote! {
        fn vouched_for<T: #door::Zeroable + #door::Pod>(_: T) {}
        fn plain_data<T: #door::Shareable>(field: T) {
            vouched_for(field);
        }
        #[allow(dead_code)]
        fn every_field_is_plain_data(this: #name) {
            let #name { #(#members: #variables),* } = this;
            #(#checks)*
        }
    }
}

/// Assertions that each field begins where the one before it ends, and the struct ends with its last.
fn no_padding(model: &Model) -> TokenStream {
    let Model { name, fields, .. } = model;
    let size = |ty: &Type| quote!(::core::mem::size_of::<#ty>());
    let offset = |member: &Member| quote!(::core::mem::offset_of!(#name, #member));
    if model.is_transparent {
        // One field has all the bytes, and lies wherever it will.
        let sizes = fields.iter().map(|(_, ty)| size(ty));
        return quote!(
            const _: () = ::core::assert!(0 #(+ #sizes)* == ::core::mem::size_of::<#name>());
        );
    }
    let between = fields.windows(2).map(|pair| {
        let [(before, before_ty), (member, ty)] = pair else {
            return TokenStream::new();
        };
        let (end, begin) = (size(before_ty), offset(member));
        let before = offset(before);
        let place = at(ty.span());
        quote_spanned! {place=>
            const _: () = ::core::assert!(
                #begin == #before + #end,
                #PADDING_BEFORE,
            );
        }
    });
    let at_the_end = fields.last().map(|(member, ty)| {
        let (begin, len) = (offset(member), size(ty));
        let place = at(name.span());
        quote_spanned! {place=>
            const _: () = ::core::assert!(
                ::core::mem::size_of::<#name>() == #begin + #len,
                #PADDING_AFTER,
            );
        }
    });
    quote!(#(#between)* #at_the_end)
}

/// A constant that exists if the fields have as many bytes together as the struct: fields do not overlap, so all bytes are theirs.
///
/// Operators and methods of pointers are the language's own, which nothing can replace.
fn as_many_bytes(model: &Model) -> TokenStream {
    let Model { name, fields, .. } = model;
    let members = fields.iter().map(|(member, _)| member);
    quote! {
        #[allow(unused_unsafe)]
        const _: () = {
            union __Room {
                nothing: (),
                one: #name,
            }
            let room = __Room { nothing: () };
            // Addresses only: nothing is read, and none leaves the room.
            unsafe {
                let one = &raw const room.one;
                let mut left = one.add(1).cast::<u8>().offset_from(one.cast::<u8>());
                #({
                    let field = &raw const (*one).#members;
                    left -= field.add(1).cast::<u8>().offset_from(field.cast::<u8>());
                })*
                [()][left as usize]
            }
        };
    }
}

#[cfg(test)]
mod tests;
