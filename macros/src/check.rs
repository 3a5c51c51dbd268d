//! What a function must be to be a job: one rule, one function, one message that says what to write instead.
//!
//! Prints no tokens but the messages. What only the compiler can know (whether a type is serializable) is asserted by the
//! expansion, on the type's own place.

use syn::visit::{self, Visit};
use syn::{
    FnArg, GenericParam, Lifetime, ParenthesizedGenericArguments, ReturnType, Safety, Signature,
    Type, TypeFnPtr, TypeImplTrait, TypeReference, WherePredicate,
};

use crate::errors::Errors;
use crate::model::{Passing, passing};
use crate::role::Role;

/// Adds every mistake in `signature` to `errors`.
pub(crate) fn check(signature: &Signature, role: Role, errors: &mut Errors) {
    runs_to_its_end(signature, errors);
    is_safe_to_call(signature, errors);
    is_no_method(signature, errors);
    is_not_variadic(signature, errors);
    lifetimes_are_unbounded(signature, errors);
    parameters_are_unconditional(signature, errors);
    parameters_can_travel(signature, role, errors);
    result_is_owned(signature, errors);
}

fn runs_to_its_end(signature: &Signature, errors: &mut Errors) {
    if let Some(keyword) = signature.asyncness {
        errors.refuse(
            keyword,
            "a job cannot be `async`: nothing polls it in the worker; write a plain `fn` that runs the future on a runtime of its own",
        );
    }
}

fn is_safe_to_call(signature: &Signature, errors: &mut Errors) {
    if let Safety::Unsafe(keyword) = signature.safety {
        errors.refuse(
            keyword,
            "a job cannot be `unsafe`: no caller can keep its promises in another process; write a safe `fn` with the unsafe call inside",
        );
    }
}

fn is_no_method(signature: &Signature, errors: &mut Errors) {
    if let Some(receiver) = signature.receiver() {
        errors.refuse(
            receiver,
            "a job cannot take `self`: write a free function with an ordinary parameter, such as `this: &Type`",
        );
    }
}

fn is_not_variadic(signature: &Signature, errors: &mut Errors) {
    if let Some(variadic) = &signature.variadic {
        errors.refuse(
            variadic.dots,
            "a job cannot be variadic: take a slice, such as `values: &[i32]`",
        );
    }
}

fn lifetimes_are_unbounded(signature: &Signature, errors: &mut Errors) {
    const MESSAGE: &str = "a job cannot bound its own lifetimes: the worker lends each argument for one call only; \
        leave the bound out, or take the value by ownership";
    let generics = &signature.generics;
    let mut bounds = OwnLifetimes {
        own: generics
            .lifetimes()
            .map(|parameter| &parameter.lifetime)
            .collect(),
        found: None,
    };
    for parameter in &generics.params {
        match parameter {
            GenericParam::Lifetime(lifetime) if !lifetime.bounds.is_empty() => {
                errors.refuse(lifetime, MESSAGE)
            }
            GenericParam::Type(parameter)
                if bounds.any(|bounds| bounds.visit_type_param(parameter)) =>
            {
                errors.refuse(parameter, MESSAGE)
            }
            _ => {}
        }
    }
    for predicate in generics
        .where_clause
        .iter()
        .flat_map(|clause| &clause.predicates)
    {
        let is_bound = match predicate {
            WherePredicate::Type(predicate) => {
                bounds.any(|bounds| bounds.visit_predicate_type(predicate))
            }
            // `'a: 'b`
            _ => true,
        };
        if is_bound {
            errors.refuse(predicate, MESSAGE);
        }
    }
}

fn parameters_are_unconditional(signature: &Signature, errors: &mut Errors) {
    for parameter in &signature.inputs {
        let FnArg::Typed(parameter) = parameter else {
            continue;
        };
        for attribute in &parameter.attrs {
            if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                errors.refuse(attribute, "a parameter of a job cannot be conditional: write two functions and put `#[cfg(…)]` on each");
            }
        }
    }
}

fn parameters_can_travel(signature: &Signature, role: Role, errors: &mut Errors) {
    for (place, parameter) in signature.inputs.iter().enumerate() {
        let FnArg::Typed(parameter) = parameter else {
            continue;
        };
        match passing(&parameter.ty) {
            // What is lent may be of any type that lives long enough, which is the compiler's to say.
            Passing::ByReference(reference, target)
                if place < role.n_lent() && reference.mutability.is_some() =>
            {
                Borrowed::in_state(errors).visit_type(target);
            }
            Passing::ByValue(ty) => Borrowed::in_parameter(errors).visit_type(ty),
            Passing::ByReference(reference, target) => {
                if reference.mutability.is_some() {
                    errors.refuse(
                        reference,
                        "a job cannot take `&mut`: the worker has a copy, and changes to it never come back; take the value and return the changed one; \
                            what a worker keeps between jobs is borrowed under `#[process_job(state)]`",
                    );
                } else if let Some(lifetime) = reference
                    .lifetime
                    .as_ref()
                    .filter(|lifetime| lifetime.ident == "static")
                {
                    errors.refuse(
                        lifetime,
                        "a job cannot take `&'static`: the worker lends each argument for one call only; leave the lifetime out",
                    );
                } else if let Type::TraitObject(object) = target {
                    errors.refuse(
                        object,
                        "a job cannot take `&dyn Trait`: the worker must know the type it reads; take `&T` with `T: Trait`, or an enum",
                    );
                } else {
                    Borrowed::in_parameter(errors).visit_type(target);
                }
            }
        }
    }
}

/// Of a method of an object, which is given its arguments as values.
pub(crate) fn parameter_is_owned(ty: &Type, errors: &mut Errors) {
    let mut borrowed = Borrowed::in_parameter(errors);
    borrowed.borrowed =
        "a method of an object owns its parameters: take `String` for `&str`, `Vec<T>` for `&[T]`";
    borrowed.impl_trait = "a method of an object cannot take `impl Trait`: the server must know the type it reads; name it";
    borrowed.visit_type(ty);
}

fn result_is_owned(signature: &Signature, errors: &mut Errors) {
    match &signature.output {
        ReturnType::Default => {}
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => {
            errors.refuse(ty, "a job must return: a worker that runs a function without end never takes another item; return `()`");
        }
        ReturnType::Type(_, ty) => Borrowed::in_result(errors).visit_type(ty),
    }
}

/// The same of a method of an object.
pub(crate) fn answer_is_owned(signature: &Signature, errors: &mut Errors) {
    match &signature.output {
        ReturnType::Default => {}
        ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)) => {
            errors.refuse(ty, "a method of an object must return: one that runs without end keeps the object from everybody; return `()`");
        }
        ReturnType::Type(_, ty) => {
            let mut borrowed = Borrowed::in_result(errors);
            borrowed.borrowed = "a result must be owned: what it would borrow stays in the server; return `String` for `&str`, `Vec<T>` for `&[T]`";
            borrowed.impl_trait = "a method of an object cannot return `impl Trait`: name the type, or collect into one such as `Vec<T>`";
            borrowed.visit_type(ty);
        }
    }
}

/// Looks for the function's own lifetimes.
struct OwnLifetimes<'s> {
    own: Vec<&'s Lifetime>,
    found: Option<()>,
}

impl OwnLifetimes<'_> {
    fn any(&mut self, visit: impl FnOnce(&mut Self)) -> bool {
        visit(self);
        self.found.take().is_some()
    }
}

impl<'ast> Visit<'ast> for OwnLifetimes<'_> {
    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if self.own.contains(&lifetime) {
            self.found = Some(());
        }
    }
}

/// Refuses references, lifetimes and `impl Trait` inside a type that travels as one owned value.
struct Borrowed<'e> {
    errors: &'e mut Errors,
    borrowed: &'static str,
    impl_trait: &'static str,
}

impl<'e> Borrowed<'e> {
    fn in_parameter(errors: &'e mut Errors) -> Self {
        Self {
            errors,
            borrowed: "only a whole parameter can be borrowed, as `&T`, `&str`, `&[T]` or `&Path`: own what is inside it, \
                such as `&[String]` for `&[&str]`",
            impl_trait: "a job cannot take `impl Trait`: name the type, as in `fn name<T: Trait>(x: T)`",
        }
    }

    fn in_state(errors: &'e mut Errors) -> Self {
        Self {
            errors,
            borrowed: "a state must be owned: the worker keeps it from one job to the next; own what is inside it",
            impl_trait: "a state cannot be `impl Trait`: name the type that the initializer returns",
        }
    }

    fn in_result(errors: &'e mut Errors) -> Self {
        Self {
            errors,
            borrowed: "a result must be owned: what it would borrow stays in the worker; return `String` for `&str`, `Vec<T>` for `&[T]`",
            impl_trait: "a job cannot return `impl Trait`: name the type, or collect into one such as `Vec<T>`",
        }
    }
}

impl<'ast> Visit<'ast> for Borrowed<'_> {
    fn visit_type_reference(&mut self, reference: &'ast TypeReference) {
        self.errors.refuse(reference, self.borrowed);
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.errors.refuse(lifetime, self.borrowed);
        }
    }

    fn visit_type_impl_trait(&mut self, ty: &'ast TypeImplTrait) {
        self.errors.refuse(ty, self.impl_trait);
    }

    // The signatures inside `fn(&str)` and `dyn Fn(&str)` borrow nothing; that these cannot travel is the compiler's to say.
    fn visit_type_fn_ptr(&mut self, _: &'ast TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &'ast ParenthesizedGenericArguments) {}

    // A block in an array's length may hold any code.
    fn visit_type_array(&mut self, array: &'ast syn::TypeArray) {
        visit::visit_type(self, &array.elem);
    }
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::*;

    fn messages(signature: TokenStream) -> Vec<String> {
        let mut errors = Errors::default();
        check(&syn::parse2(signature).unwrap(), Role::Job, &mut errors);
        errors.messages()
    }

    #[test]
    fn only_the_first_parameter_is_lent() {
        let mut errors = Errors::default();
        let signature = quote!(fn f(db: &mut Db<&str>, x: &mut u8));
        check(
            &syn::parse2(signature).unwrap(),
            Role::Borrower,
            &mut errors,
        );
        let messages = errors.messages();
        assert_eq!(messages.len(), 2, "{messages:#?}");
        assert!(messages[0].starts_with("a state must be owned"));
        assert!(messages[1].starts_with("a job cannot take `&mut`"));
    }

    #[track_caller]
    fn refused(signature: TokenStream, beginnings: &[&str]) {
        let messages = messages(signature);
        assert_eq!(messages.len(), beginnings.len(), "{messages:#?}");
        for (message, beginning) in messages.iter().zip(beginnings) {
            assert!(message.starts_with(beginning), "{message}");
        }
    }

    #[test]
    fn what_can_be_a_job_is_accepted() {
        for signature in [
            quote!(fn f()),
            quote!(const extern "C" fn f(x: u64) -> u64),
            quote!(fn f((a, _): (u8, u8), mut b: Vec<[u8; { 'x: loop { break 'x 3 } }]>)),
            quote!(fn f<'a, T, const N: usize>(a: &'a [T; N], b: &'a str, c: (&std::path::Path)) -> Option<T> where T: Clone + 'static),
            quote!(fn f<T>(x: T) -> Cow<'static, str> where for<'x> &'x T: Add),
            quote!(fn f(call: fn(&str) -> &str, #[allow(unused)] y: Box<dyn Fn(&str)>)),
        ] {
            refused(signature, &[]);
        }
    }

    #[test]
    fn qualifiers_and_receivers_are_refused_all_at_once() {
        refused(
            quote!(async unsafe extern "C" fn f(&self, x: &mut u8, ...) -> &str),
            &[
                "a job cannot be `async`",
                "a job cannot be `unsafe`",
                "a job cannot take `self`",
                "a job cannot be variadic",
                "a job cannot take `&mut`",
                "a result must be owned",
            ],
        );
    }

    #[test]
    fn bounds_on_own_lifetimes_are_refused() {
        const BOUND: &str = "a job cannot bound its own lifetimes";
        for signature in [
            quote!(fn f<'a, 'b: 'a>(x: &'a str, y: &'b str)),
            quote!(fn f<'a>(x: &'a str) where 'a: 'a),
            quote!(fn f<'a, T: Trait<'a>>(x: &'a T)),
            quote!(fn f<'a, T: 'a>(x: &'a T)),
            quote!(fn f<'a, T>(x: &'a T) where T: Trait<Item = &'a str>),
            quote!(fn f<'a, T>(x: &'a T) where &'a T: Trait),
        ] {
            refused(signature, &[BOUND]);
        }
    }

    #[test]
    fn borrowing_inside_a_parameter_is_refused_once_for_each_place() {
        const INNER: &str = "only a whole parameter can be borrowed";
        refused(quote!(fn f(x: &[&str])), &[INNER]);
        refused(quote!(fn f(x: Option<&mut &u8>)), &[INNER]);
        refused(quote!(fn f(x: &&'static str)), &[INNER]);
        refused(quote!(fn f(x: (&str, &str))), &[INNER, INNER]);
        refused(
            quote!(fn f<'a>(x: Cow<'a, str>, y: Ref<'_>)),
            &[INNER, INNER],
        );
    }

    #[test]
    fn parameters_without_a_known_type_are_refused() {
        refused(
            quote!(fn f(x: impl Copy, y: Vec<impl Copy>, z: &impl Copy)),
            &["a job cannot take `impl Trait`"; 3],
        );
        refused(
            quote!(fn f(x: &dyn Copy, y: &(dyn Copy + Send))),
            &["a job cannot take `&dyn Trait`"; 2],
        );
        refused(
            quote!(fn f(x: &'static str)),
            &["a job cannot take `&'static`"],
        );
    }

    #[test]
    fn conditional_parameters_are_refused() {
        refused(
            quote!(fn f(#[cfg(a)] x: u8, #[cfg_attr(a, b)] y: u8)),
            &["a parameter of a job cannot be conditional"; 2],
        );
    }

    #[test]
    fn results_that_borrow_or_have_no_name_are_refused() {
        const OWNED: &str = "a result must be owned";
        refused(quote!(fn f(x: &str) -> &str), &[OWNED]);
        refused(quote!(fn f() -> &'static str), &[OWNED]);
        refused(
            quote!(fn f<'a>(x: &'a str) -> Result<Cow<'a, str>, &'a str>),
            &[OWNED, OWNED],
        );
        refused(
            quote!(fn f() -> impl Iterator<Item = u8>),
            &["a job cannot return `impl Trait`"],
        );
        refused(quote!(fn f() -> !), &["a job must return"]);
    }
}
