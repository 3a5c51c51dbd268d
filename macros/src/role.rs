//! What a function does with the state of its worker: nothing, borrow it, or make it.
//!
//! Responsible for the two words of the attribute that say so, and for the parameter that borrows. What else a parameter
//! may be is [`crate::check`]'s.

use quote::ToTokens as _;
use syn::{FnArg, Signature, Type};

use crate::args::Arguments;
use crate::errors::Errors;
use crate::model::{Passing, passing};

/// See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// `#[process_job]`
    Job,
    /// `#[process_job(state)]`: the first parameter is what the worker's initializer made.
    Borrower,
    /// `#[process_job(initializer)]`: the result stays in the worker.
    Initializer,
}

impl Role {
    /// What the attribute says, and what cannot be meant together.
    pub(crate) fn new(arguments: &Arguments, errors: &mut Errors) -> Self {
        let Some(word) = &arguments.initializer else {
            return match arguments.state {
                Some(_) => Self::Borrower,
                None => Self::Job,
            };
        };
        if let Some(state) = &arguments.state {
            errors.refuse(
                state,
                "an initializer makes the state, so it cannot borrow it: leave out `state` or `initializer`",
            );
        }
        if arguments.timeout_nanos.is_some() || arguments.retries.is_some() {
            errors.refuse(
                word,
                "an initializer has no time limit, and workers whose initializer fails are replaced in any case: \
                    leave out `timeout` and `retries`",
            );
        }
        Self::Initializer
    }

    /// How many parameters in front are not the caller's.
    pub(crate) fn n_lent(self) -> usize {
        usize::from(self == Self::Borrower)
    }

    /// Refuses a signature that has no state to borrow where one was announced.
    pub(crate) fn check(self, arguments: &Arguments, signature: &Signature, errors: &mut Errors) {
        let (Self::Borrower, Some(word)) = (self, &arguments.state) else {
            return;
        };
        match signature.inputs.first() {
            None => errors.refuse(word, MISSING),
            // Refused as such already.
            Some(FnArg::Receiver(_)) => {}
            Some(FnArg::Typed(parameter)) => match passing(&parameter.ty) {
                Passing::ByReference(reference, target) if reference.mutability.is_some() => {
                    check_target(target, errors);
                }
                _ => errors.refuse(&parameter.ty, MISSING),
            },
        }
    }
}

const MISSING: &str = "a job with `state` borrows it by its first parameter: write `state: &mut Type`, where `Type` is what the \
    pool's initializer returns";

fn check_target(target: &Type, errors: &mut Errors) {
    let message = match target {
        Type::TraitObject(_) | Type::Slice(_) => {
            "the state is of the very type that the initializer returns: name that type, such as `Box<dyn Trait>` or `Vec<T>`"
        }
        Type::Path(path) if path.path.is_ident("str") => {
            "the state is of the very type that the initializer returns: name that type, such as `String`"
        }
        _ => return,
    };
    errors.refuse(target.to_token_stream(), message);
}

#[cfg(test)]
mod tests {
    use proc_macro2::TokenStream;
    use quote::quote;

    use super::*;
    use crate::args;

    fn messages(arguments: TokenStream, signature: TokenStream) -> (Role, Vec<String>) {
        let mut errors = Errors::default();
        let arguments = args::parse(arguments, &mut errors);
        let role = Role::new(&arguments, &mut errors);
        role.check(&arguments, &syn::parse2(signature).unwrap(), &mut errors);
        (role, errors.messages())
    }

    #[test]
    fn a_borrower_borrows_by_its_first_parameter() {
        let (role, messages_) = messages(quote!(state), quote!(fn f(db: &mut Db, key: u64)));
        assert_eq!((role, messages_), (Role::Borrower, Vec::new()));
        for signature in [
            quote!(fn f()),
            quote!(fn f(db: Db)),
            quote!(fn f(db: &Db, more: &mut Db)),
        ] {
            assert_eq!(messages(quote!(state), signature).1, [MISSING]);
        }
    }

    #[test]
    fn a_state_has_a_type_that_an_initializer_can_return() {
        for signature in [
            quote!(fn f(db: &mut dyn Database)),
            quote!(fn f(db: &mut [u8])),
            quote!(fn f(db: &mut str)),
        ] {
            let (_, messages) = messages(quote!(state), signature);
            assert_eq!(messages.len(), 1);
            assert!(messages[0].starts_with("the state is of the very type"));
        }
    }

    #[test]
    fn an_initializer_neither_borrows_nor_has_limits() {
        let (role, messages) = messages(
            quote!(initializer, state, retries = 1),
            quote!(fn f(db: &mut Db) -> Db),
        );
        assert_eq!((role, messages.len()), (Role::Initializer, 2));
    }
}
