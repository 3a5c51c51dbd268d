use super::*;

#[track_caller]
fn refused(tokens: TokenStream, beginnings: &[&str]) {
    let mut errors = Errors::default();
    read(tokens, &mut errors);
    let messages = errors.messages();
    assert_eq!(messages.len(), beginnings.len(), "{messages:#?}");
    for (message, beginning) in messages.iter().zip(beginnings) {
        assert!(message.starts_with(beginning), "{message}");
    }
}

fn model(tokens: TokenStream) -> Model {
    let mut errors = Errors::default();
    let model = read(tokens, &mut errors);
    assert_eq!(errors.messages(), [""; 0]);
    model.unwrap()
}

const LAYOUT: &str = "a shared struct needs a layout that is fixed";
const GENERIC: &str = "a shared struct cannot be generic";
const POINTER: &str = "a pointer means nothing in another process";
const CRATE: &str = "expected the path of the `procession` crate";

#[test]
fn structs_of_a_fixed_layout_are_accepted() {
    for tokens in [
        quote!(
            #[repr(C)]
            struct A {
                a: u8,
                b: [f64; 50],
            }
        ),
        quote!(
            #[repr(C)]
            pub(crate) struct A(u8, pub u8);
        ),
        quote!(
            #[repr(C)]
            struct A;
        ),
        quote!(
            #[repr(align(8), C)]
            struct A {
                a: u64,
            }
        ),
        quote!(
            #[repr(packed(2))]
            #[repr(C)]
            struct A {
                a: u64,
            }
        ),
        quote!(
            #[derive(Clone)]
            #[repr(C, packed)]
            #[cfg(a)]
            struct A {
                r#type: u64,
            }
        ),
    ] {
        assert!(!model(tokens).is_transparent);
    }
    assert!(
        model(quote!(
            #[repr(transparent)]
            struct A(u8);
        ))
        .is_transparent
    );
}

#[test]
fn what_is_no_struct_is_refused() {
    refused(
        quote!(
            #[repr(u8)]
            enum A {
                B,
            }
        ),
        &["an enum cannot be shared"],
    );
    refused(
        quote!(#[repr(C)] union A { b: u8 }),
        &["a union cannot be shared"],
    );
}

#[test]
fn a_layout_that_is_not_fixed_is_refused() {
    refused(
        quote!(
            struct A {
                a: u8,
            }
        ),
        &[LAYOUT],
    );
    refused(
        quote!(
            #[repr(Rust)]
            struct A {
                a: u8,
            }
        ),
        &[LAYOUT],
    );
    refused(
        quote!(
            #[repr(packed)]
            struct A {
                a: u8,
            }
        ),
        &[LAYOUT],
    );
    refused(
        quote!(
            #[repr(align(8))]
            struct A {
                a: u8,
            }
        ),
        &[LAYOUT],
    );
}

#[test]
fn parameters_are_refused_each_at_its_place() {
    refused(
        quote!(
            #[repr(C)]
            struct A<'a, T: Copy, const N: usize>(T);
        ),
        &[GENERIC; 3],
    );
}

#[test]
fn pointers_are_refused() {
    refused(
        quote!(
            #[repr(C)]
            struct A {
                a: &'static u8,
                b: *const u8,
                c: fn(),
                d: u8,
            }
        ),
        &[POINTER; 3],
    );
}

#[test]
fn every_mistake_is_told_at_once() {
    refused(
        quote!(
            #[shareable]
            struct A<T> {
                a: &T,
            }
        ),
        &[GENERIC, POINTER, CRATE, LAYOUT],
    );
}

#[test]
fn the_path_of_the_crate_is_read_once() {
    let renamed = model(quote!(
        #[repr(C)]
        #[shareable(crate = crate::deps::procession)]
        struct A;
    ));
    assert_eq!(
        renamed.door.to_string(),
        quote!(crate::deps::procession::__private).to_string()
    );
    let twice = quote!(
        #[repr(C)]
        #[shareable(crate = a)]
        #[shareable(crate = b)]
        struct A;
    );
    refused(twice, &["`crate` is given twice"]);
    for attribute in [
        quote!(#[shareable]),
        quote!(#[shareable()]),
        quote!(#[shareable(krate = a)]),
        quote!(#[shareable(crate = "a")]),
        quote!(#[shareable(crate = a, b)]),
        quote!(#[shareable = 3]),
    ] {
        refused(quote!(#[repr(C)] #attribute struct A;), &[CRATE]);
    }
}

#[test]
fn the_expansion_looks_at_every_field_before_it_vouches() {
    let expansion = shareable(quote!(
        #[repr(C)]
        struct Pair {
            a: u8,
            b: [u16; 2],
        }
    ));
    let expected = quote! {
        const _: () = {
            fn vouched_for<T: ::procession::__private::Zeroable + ::procession::__private::Pod>(_: T) {}
            fn plain_data<T: ::procession::__private::Shareable>(field: T) {
                vouched_for(field);
            }
            #[allow(dead_code)]
            fn every_field_is_plain_data(this: Pair) {
                let Pair { a: field_0, b: field_1 } = this;
                plain_data::<u8>(field_0);
                plain_data::<[u16; 2]>(field_1);
            }
            const _: () = ::core::assert!(
                ::core::mem::offset_of!(Pair, b) == ::core::mem::offset_of!(Pair, a) + ::core::mem::size_of::<u8>(),
                #PADDING_BEFORE,
            );
            const _: () = ::core::assert!(
                ::core::mem::size_of::<Pair>() == ::core::mem::offset_of!(Pair, b) + ::core::mem::size_of::<[u16; 2]>(),
                #PADDING_AFTER,
            );
            #[allow(unused_unsafe)]
            const _: () = {
                union __Room {
                    nothing: (),
                    one: Pair,
                }
                let room = __Room { nothing: () };
                unsafe {
                    let one = &raw const room.one;
                    let mut left = one.add(1).cast::<u8>().offset_from(one.cast::<u8>());
                    {
                        let field = &raw const (*one).a;
                        left -= field.add(1).cast::<u8>().offset_from(field.cast::<u8>());
                    }
                    {
                        let field = &raw const (*one).b;
                        left -= field.add(1).cast::<u8>().offset_from(field.cast::<u8>());
                    }
                    [()][left as usize]
                }
            };
            #[automatically_derived]
            unsafe impl ::procession::__private::Zeroable for Pair {}
            #[automatically_derived]
            unsafe impl ::procession::__private::Pod for Pair {}
        };
    };
    assert_eq!(expansion.to_string(), expected.to_string());
}

#[test]
fn a_transparent_struct_has_the_bytes_of_its_fields_and_no_more() {
    let expansion = shareable(quote!(
        #[repr(transparent)]
        struct Id(u64, Marker);
    ))
    .to_string();
    let sum = quote!(
        0 + ::core::mem::size_of::<u64>() + ::core::mem::size_of::<Marker>()
            == ::core::mem::size_of::<Id>()
    );
    assert!(expansion.contains(&sum.to_string()), "{expansion}");
}

#[test]
fn what_is_deprecated_warns_where_it_is_used_and_not_here() {
    let allow = quote!(#[allow(deprecated)]).to_string();
    let old = shareable(quote!(
        #[repr(C)]
        struct A {
            #[deprecated]
            a: u8,
        }
    ))
    .to_string();
    assert!(old.contains(&allow));
    let new = shareable(quote!(
        #[repr(C)]
        struct A {
            a: u8,
        }
    ))
    .to_string();
    assert!(!new.contains(&allow));
}
