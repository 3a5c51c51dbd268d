//! `#[process_object]`: the proxy of an object, and how its server finds the methods.
//!
//! The impl block is given back as it came. What is offered to proxies: its methods, and as constructors its functions without `self`
//! that return `Self`.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{
    Attribute, FnArg, ImplItem, ItemImpl, Pat, PatType, Receiver, ReceiverKind, ReturnType, Safety,
    Signature, Type, Visibility,
};

use crate::check;
use crate::errors::Errors;
use crate::path::door;

const EXPECTED: &str =
    "`#[process_object]` goes on an `impl` block of a type's own, such as `impl Counter`";
const ARGUMENTS: &str = "expected nothing, or `crate = path`";

/// Functions that a proxy has whatever its object is.
const OF_EVERY_PROXY: [&str; 3] = ["connect", "serve", "server_pid"];

/// The whole of `#[process_object]`: the user's block, and after it either the proxy or the mistakes.
pub(crate) fn process_object(arguments: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let krate = parse_arguments(arguments, &mut errors);
    let object = parse(tokens.clone(), &mut errors);
    let addition = match object {
        Some(object) if errors.is_empty() => expand(&object, &door(krate.as_ref())),
        _ => errors.into_items(),
    };
    quote!(#tokens #addition)
}

fn parse_arguments(arguments: TokenStream, errors: &mut Errors) -> Option<syn::Path> {
    if arguments.is_empty() {
        return None;
    }
    let pair: syn::Result<syn::MetaNameValue> = syn::parse2(quote!(#arguments));
    let path = match pair {
        Ok(pair) if pair.path.is_ident("crate") => match pair.value {
            syn::Expr::Path(path) if path.qself.is_none() => Some(path.path),
            _ => None,
        },
        _ => None,
    };
    if path.is_none() {
        errors.refuse(arguments, ARGUMENTS);
    }
    path
}

/// What proxies are offered.
struct ObjectModel {
    /// The type, a name.
    name: Ident,
    constructors: Vec<Method>,
    methods: Vec<Method>,
}

struct Method {
    documentation: Vec<Attribute>,
    visibility: Visibility,
    name: Ident,
    parameters: Vec<(Ident, Type)>,
    output: Type,
}

fn parse(tokens: TokenStream, errors: &mut Errors) -> Option<ObjectModel> {
    let block: ItemImpl = match syn::parse2(tokens.clone()) {
        Ok(block) => block,
        Err(_) => {
            errors.refuse(head(tokens), EXPECTED);
            return None;
        }
    };
    if let Some((of, _)) = &block.trait_ {
        errors.refuse(of, "the methods of a trait cannot be called by proxies: write an `impl` block of the type's own");
    }
    if !block.generics.params.is_empty() {
        errors.refuse(
            &block.generics,
            "an object cannot be generic: write a type with the arguments filled in",
        );
    }
    let name = match &*block.self_ty {
        Type::Path(ty) if ty.qself.is_none() && block.generics.params.is_empty() => {
            ty.path.get_ident().cloned()
        }
        _ => None,
    };
    if name.is_none() && block.generics.params.is_empty() {
        errors.refuse(
            &block.self_ty,
            "an object's type is a name of this module: `impl Counter`",
        );
    }
    let mut object = ObjectModel {
        name: name?,
        constructors: Vec::new(),
        methods: Vec::new(),
    };
    for item in block.items {
        let ImplItem::Fn(function) = item else {
            continue;
        };
        let list = if function.sig.receiver().is_some() {
            &mut object.methods
        } else if returns_self(&function.sig) {
            &mut object.constructors
        } else {
            continue;
        };
        check_method(&function.sig, &function.attrs, errors);
        list.push(method(function.attrs, function.vis, function.sig));
    }
    Some(object)
}

/// The tokens before the first brace: what a reader recognises an item by.
fn head(item: TokenStream) -> TokenStream {
    let is_open =
        |token: &proc_macro2::TokenTree| !matches!(token, proc_macro2::TokenTree::Group(_));
    item.into_iter().take_while(is_open).collect()
}

fn returns_self(signature: &Signature) -> bool {
    let ReturnType::Type(_, ty) = &signature.output else {
        return false;
    };
    matches!(&**ty, Type::Path(ty) if ty.path.is_ident("Self"))
}

fn check_method(signature: &Signature, attributes: &[Attribute], errors: &mut Errors) {
    if let Some(keyword) = signature.asyncness {
        errors.refuse(keyword, "a method of an object cannot be `async`: nothing polls it in the server; write a plain `fn`");
    }
    if let Safety::Unsafe(keyword) = signature.safety {
        errors.refuse(keyword, "a method of an object cannot be `unsafe`: no caller can keep its promises in another process");
    }
    if !signature.generics.params.is_empty() {
        errors.refuse(
            &signature.generics,
            "a method of an object cannot be generic: the server must know the types it reads",
        );
    }
    if OF_EVERY_PROXY.iter().any(|name| signature.ident == name) {
        let name = &signature.ident;
        errors.refuse(name, format!("a proxy has a `{name}` of its own: give this one another name, or put it into an `impl` block without `#[process_object]`"));
    }
    for attribute in attributes
        .iter()
        .filter(|attribute| is_condition(attribute))
    {
        errors.refuse(attribute, "a method of an object cannot be conditional: put it into an `impl` block without `#[process_object]`");
    }
    for input in &signature.inputs {
        let (FnArg::Receiver(Receiver { attrs, .. }) | FnArg::Typed(PatType { attrs, .. })) = input;
        for attribute in attrs.iter().filter(|attribute| is_condition(attribute)) {
            errors.refuse(attribute, "a parameter of an object's method cannot be conditional: its callers may be other programs; write two methods");
        }
        match input {
            FnArg::Receiver(receiver) if !matches!(receiver.kind, ReceiverKind::Reference(..)) => {
                errors.refuse(receiver, "a method of an object cannot take `self` away from its server: write `&self` or `&mut self`");
            }
            FnArg::Receiver(_) => {}
            FnArg::Typed(parameter) => check::parameter_is_owned(&parameter.ty, errors),
        }
    }
    check::answer_is_owned(signature, errors);
}

fn is_condition(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr")
}

fn method(attributes: Vec<Attribute>, visibility: Visibility, signature: Signature) -> Method {
    let is_documentation = |attribute: &Attribute| attribute.path().is_ident("doc");
    let typed = signature
        .inputs
        .into_iter()
        .filter_map(|input| match input {
            FnArg::Typed(parameter) => Some(parameter),
            FnArg::Receiver(_) => None,
        });
    let parameters = typed.enumerate().map(|(index, parameter)| {
        let name = match *parameter.pat {
            Pat::Ident(pattern) => pattern.ident,
            _ => format_ident!("argument_{index}"),
        };
        (name, *parameter.ty)
    });
    Method {
        documentation: attributes.into_iter().filter(is_documentation).collect(),
        visibility,
        name: signature.ident,
        parameters: parameters.collect(),
        output: match signature.output {
            ReturnType::Default => syn::parse_quote!(()),
            ReturnType::Type(_, ty) => *ty,
        },
    }
}

fn expand(object: &ObjectModel, door: &TokenStream) -> TokenStream {
    let name = &object.name;
    let proxy = format_ident!("{name}Proxy", span = name.span());
    let all = || object.constructors.iter().chain(&object.methods);
    let is_public = all().any(|method| matches!(method.visibility, Visibility::Public(_)));
    let visibility = if is_public {
        quote!(pub)
    } else {
        quote!(pub(crate))
    };
    let documentation = format!(" Calls the methods of a `{name}` that lives in another process.");
    let object_impl = object_impl(object, door);
    let constructors = numbered(&object.constructors).map(|(number, method)| {
        let (signature, args) = call_of(method, None);
        quote!(#signature -> ::core::result::Result<Self, #door::Error> {
            #door::Proxy::spawn(#number, #args).map(|proxy| Self { proxy })
        })
    });
    let methods = numbered(&object.methods).map(|(number, method)| {
        let (signature, args) = call_of(method, Some(quote!(&self,)));
        let output = &method.output;
        quote!(#signature -> ::core::result::Result<#output, #door::Error> {
            self.proxy.call(#number, #args)
        })
    });
    quote! {
        #[doc = #documentation]
        #[allow(dead_code)]
        #visibility struct #proxy {
            proxy: #door::Proxy<#name>,
        }
        const _: () = {
            #object_impl
            #[allow(dead_code, private_interfaces)]
            impl #proxy {
                #(#constructors)*
                #(#methods)*
                /// A proxy to an object that another program serves at this address.
                #visibility fn connect(
                    address: impl #door::ToAddress,
                    key: impl ::core::convert::AsRef<[::core::primitive::u8]>,
                ) -> ::core::result::Result<Self, #door::Error> {
                    #door::Proxy::connect(address, key).map(|proxy| Self { proxy })
                }
                /// Serves the object to whoever connects, until the listener fails.
                #visibility fn serve(
                    object: #name,
                    listener: &#door::Listener,
                ) -> ::core::result::Result<(), #door::Error> {
                    #door::Proxy::serve(object, listener)
                }
                /// The process of the object, where this proxy or the one that it was cloned from has made it.
                #visibility fn server_pid(&self) -> ::core::option::Option<::core::primitive::u32> {
                    self.proxy.server_pid()
                }
            }
            impl ::core::clone::Clone for #proxy {
                fn clone(&self) -> Self {
                    Self { proxy: ::core::clone::Clone::clone(&self.proxy) }
                }
            }
            impl ::core::fmt::Debug for #proxy {
                fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    ::core::fmt::Debug::fmt(&self.proxy, f)
                }
            }
            impl #door::Serialize for #proxy {
                fn serialize<S: #door::Serializer>(&self, to: S) -> ::core::result::Result<S::Ok, S::Error> {
                    #door::Serialize::serialize(&self.proxy, to)
                }
            }
            impl<'de> #door::Deserialize<'de> for #proxy {
                fn deserialize<D: #door::Deserializer<'de>>(from: D) -> ::core::result::Result<Self, D::Error> {
                    ::core::result::Result::map(#door::Deserialize::deserialize(from), |proxy| Self { proxy })
                }
            }
        };
    }
}

/// How the server finds constructors and methods by their numbers.
fn object_impl(object: &ObjectModel, door: &TokenStream) -> TokenStream {
    let name = &object.name;
    let arms = |methods: &[Method], call: fn(&Ident, &TokenStream, &TokenStream) -> TokenStream| {
        let arms = numbered(methods).map(|(number, method)| {
            let (names, types) = names_and_types(method);
            let called = call(&method.name, &quote!(#(#names),*), door);
            quote!(#number => {
                let (#(#names,)*) = #door::decode::<(#(#types,)*)>(args)?;
                #called
            })
        });
        quote!(#(#arms)*)
    };
    let constructors = arms(
        &object.constructors,
        |name, args, _| quote!(::core::result::Result::Ok(Self::#name(#args))),
    );
    let methods = arms(
        &object.methods,
        |name, args, door| quote!(#door::encode(&self.#name(#args))),
    );
    quote! {
        #[automatically_derived]
        impl #door::Object for #name {
            #[allow(unused_variables)]
            fn make(constructor: ::core::primitive::u32, args: &[::core::primitive::u8])
                -> ::core::result::Result<Self, #door::CodecError>
            {
                match constructor {
                    #constructors
                    _ => ::core::result::Result::Err(#door::no_such_method()),
                }
            }
            #[allow(unused_variables)]
            fn call(&mut self, method: ::core::primitive::u32, args: &[::core::primitive::u8])
                -> ::core::result::Result<#door::Bytes, #door::CodecError>
            {
                match method {
                    #methods
                    _ => ::core::result::Result::Err(#door::no_such_method()),
                }
            }
        }
    }
}

/// A proxy's function up to its result, and the arguments as one value.
fn call_of(method: &Method, receiver: Option<TokenStream>) -> (TokenStream, TokenStream) {
    let Method {
        documentation,
        visibility,
        name,
        ..
    } = method;
    let (names, types) = names_and_types(method);
    let signature = quote!(#(#documentation)* #visibility fn #name(#receiver #(#names: #types),*));
    (signature, quote!((#(#names,)*)))
}

fn names_and_types(method: &Method) -> (Vec<&Ident>, Vec<&Type>) {
    method
        .parameters
        .iter()
        .map(|(name, ty)| (name, ty))
        .unzip()
}

fn numbered(methods: &[Method]) -> impl Iterator<Item = (u32, &Method)> {
    (0..).zip(methods)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::messages;

    #[track_caller]
    fn refused(tokens: TokenStream, beginnings: &[&str]) {
        let messages = messages(&process_object(TokenStream::new(), tokens));
        assert_eq!(messages.len(), beginnings.len(), "{messages:#?}");
        for (message, beginning) in messages.iter().zip(beginnings) {
            assert!(message.starts_with(beginning), "{message}");
        }
    }

    #[test]
    fn the_block_stays_and_what_is_neither_method_nor_constructor_is_left_alone() {
        let block = quote!(
            impl Counter {
                const N: u8 = 1;
                pub fn new() -> Self { Self }
                fn other<T>(x: &T) -> u8 { 0 }
                fn add(&mut self, (a, b): (u8, u8)) -> u8 { 1 }
            }
        );
        let expansion = process_object(quote!(crate = a::b), block.clone()).to_string();
        assert!(expansion.starts_with(&block.to_string()));
        let proxy = &expansion[block.to_string().len()..];
        assert!(proxy.contains("struct CounterProxy") && proxy.contains("a :: b :: __private"));
        assert!(
            proxy.contains("fn new") && proxy.contains("fn add") && !proxy.contains("fn other")
        );
    }

    #[test]
    fn every_mistake_is_refused_at_once() {
        refused(
            quote!(
                impl Counter {
                    async unsafe fn f<T>(self, x: &str, y: impl Copy) -> &str { x }
                    #[cfg(a)]
                    fn g(self: Box<Self>) {}
                    fn connect(&self, #[cfg_attr(a, b)] x: u8) -> impl Copy {}
                    fn end(&self) -> ! {}
                }
            ),
            &[
                "a method of an object cannot be `async`",
                "a method of an object cannot be `unsafe`",
                "a method of an object cannot be generic",
                "a method of an object cannot take `self`",
                "a method of an object owns its parameters",
                "a method of an object cannot take `impl Trait`",
                "a result must be owned",
                "a method of an object cannot be conditional",
                "a method of an object cannot take `self`",
                "a proxy has a `connect` of its own",
                "a parameter of an object's method cannot be conditional",
                "a method of an object cannot return `impl Trait`",
                "a method of an object must return",
            ],
        );
    }

    #[test]
    fn what_is_no_block_of_a_types_own_is_refused() {
        refused(
            quote!(
                struct S {
                    x: u8,
                }
            ),
            &[EXPECTED],
        );
        refused(
            quote!(
                fn f() {}
            ),
            &[EXPECTED],
        );
        refused(quote!(impl Trait for S {}), &["the methods of a trait"]);
        refused(
            quote!(
                impl<T> S<T> {}
            ),
            &["an object cannot be generic"],
        );
        refused(quote!(impl S<u8> {}), &["an object's type is a name"]);
        let arguments = process_object(quote!(name = "x"), quote!(impl S {}));
        assert_eq!(messages(&arguments), [ARGUMENTS]);
    }
}
