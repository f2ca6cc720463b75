//! One resolver.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::visit_mut::{VisitMut, visit_type_reference_mut};
use syn::{
    Attribute, Error, Expr, FnArg, GenericArgument, Ident, ImplItemFn, Lifetime, LitStr, Pat,
    PathArguments, Result, ReturnType, Token, Type, TypeReference, parse_quote,
};

/// A field of an object, as its resolver defines it.
pub(crate) struct Field {
    function: ImplItemFn,
    /// The name of the function that the resolver becomes.
    resolver: Ident,
    /// The name of the type that stands for the field in plans.
    marker: Ident,
    /// Its name in the graph.
    name: String,
    wants_request: bool,
    /// Whether it needs what an object that was read in brief lacks.
    is_detail: bool,
    /// Whether it searches or counts.
    is_search: bool,
    arguments: Vec<Argument>,
    kind: Kind,
    output: Type,
}

/// How a field comes to its value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// At once, whenever it is wanted.
    Computed,
    /// By one look-up, which the resolver names.
    Loaded,
    /// By whatever an `async` resolver does.
    Read,
}

/// An argument of a field.
struct Argument {
    attributes: Vec<Attribute>,
    ident: Ident,
    ty: Type,
    /// Its name in the graph.
    name: String,
    default: Option<TokenStream>,
}

impl Field {
    pub(crate) fn parse(mut function: ImplItemFn) -> Result<Self> {
        let is_detail = take_out(&mut function.attrs, "detail");
        let is_search = take_out(&mut function.attrs, "search");
        let signature = &function.sig;
        let mut inputs = signature.inputs.iter();
        if !matches!(inputs.next(), Some(FnArg::Receiver(_))) {
            return Err(Error::new_spanned(signature, "a resolver takes `&self`"));
        }
        let mut wants_request = false;
        let mut arguments = Vec::new();
        for input in inputs {
            let FnArg::Typed(input) = input else {
                continue;
            };
            if is_request(&input.ty) {
                wants_request = true;
                continue;
            }
            let Pat::Ident(pattern) = &*input.pat else {
                return Err(Error::new_spanned(&input.pat, "an argument has a name"));
            };
            let options = Options::parse(&input.attrs)?;
            arguments.push(Argument {
                attributes: input.attrs.clone(),
                name: options.name.unwrap_or_else(|| camel_case(&pattern.ident)),
                ident: pattern.ident.clone(),
                ty: (*input.ty).clone(),
                default: options.default,
            });
        }
        let ReturnType::Type(_, output) = &signature.output else {
            return Err(Error::new_spanned(
                signature,
                "a resolver returns something",
            ));
        };
        let ident = &signature.ident;
        let options = Options::parse(&function.attrs)?;
        let (kind, output) = match loaded(output) {
            _ if signature.asyncness.is_some() => (Kind::Read, (**output).clone()),
            Some(loaded) => (Kind::Loaded, loaded),
            None => (Kind::Computed, (**output).clone()),
        };
        Ok(Self {
            resolver: format_ident!("resolve_{ident}"),
            marker: format_ident!("Field_{ident}"),
            name: options.name.unwrap_or_else(|| camel_case(ident)),
            wants_request,
            is_detail,
            is_search,
            arguments,
            kind,
            output,
            function,
        })
    }

    /// The resolver itself.
    pub(crate) fn resolver(&self) -> TokenStream {
        let mut function = self.function.clone();
        function.sig.ident = self.resolver.clone();
        function.vis = syn::Visibility::Inherited;
        function.attrs.retain(|attribute| !is_graphql(attribute));
        for input in &mut function.sig.inputs {
            if let FnArg::Typed(input) = input {
                input.attrs.retain(|attribute| !is_graphql(attribute));
            }
        }
        quote!(#function)
    }

    /// The field as the engine knows it.
    pub(crate) fn for_engine(&self) -> TokenStream {
        let attributes = &self.function.attrs;
        let visibility = &self.function.vis;
        let (ident, resolver, output) = (&self.function.sig.ident, &self.resolver, &self.output);
        let declared = self.arguments.iter().map(|argument| {
            let (attributes, ident, ty) = (&argument.attributes, &argument.ident, &argument.ty);
            quote!(, #(#attributes)* #ident: #ty)
        });
        let request = self
            .wants_request
            .then(|| quote!(, crate::graphql::context::request(context)?));
        let passed = self.arguments.iter().map(|argument| &argument.ident);
        let value = quote!(Self::#resolver(self #request #(, #passed)*));
        let value = match self.kind {
            Kind::Computed => value,
            // Errors before the look-up are charged, too.
            Kind::Loaded => quote! {
                async { #value?.run(crate::graphql::context::request(context)?).await }.await
            },
            Kind::Read => quote!(#value.await),
        };
        quote! {
            #(#attributes)*
            #visibility async fn #ident(
                &self,
                context: &::async_graphql::Context<'_> #(#declared)*
            ) -> #output {
                let value: #output = #value;
                crate::graphql::context::counted(context, value).await
            }
        }
    }

    /// Its name and minimum cost, if it reads anything.
    pub(crate) fn reads(&self) -> Option<TokenStream> {
        let name = &self.name;
        match self.kind {
            Kind::Computed => None,
            _ if self.is_search => Some(quote!((#name, crate::graphql::budget::SEARCH),)),
            _ => Some(quote!((#name, crate::graphql::budget::STATEMENT),)),
        }
    }

    /// The field as plans know it.
    pub(crate) fn for_plan(&self, parent: &Type) -> TokenStream {
        let (marker, resolver, is_detail) = (&self.marker, &self.resolver, self.is_detail);
        let request = self.wants_request.then(|| quote!(, request));
        let read = self.arguments.iter().map(|argument| {
            let Argument {
                ident,
                ty,
                name,
                default,
                ..
            } = argument;
            let default = default.as_ref().map_or_else(
                || quote!(::std::option::Option::None),
                |default| quote!(::std::option::Option::Some(|| -> #ty { #default })),
            );
            quote!(let #ident: #ty = arguments.get(#name, #default)?;)
        });
        let passed = self.arguments.iter().map(|argument| &argument.ident);
        let call = quote!(<#parent>::#resolver(parent #request #(, #passed)*));
        let head = quote!(#[allow(non_camel_case_types, reason = "named after the resolver")] struct #marker;);
        if self.kind != Kind::Computed {
            let output = &self.output;
            let resolve = quote! {
                move |parent: &'a #parent| -> ::std::result::Result<_, ::async_graphql::ServerError> {
                    #(#read)*
                    ::std::result::Result::Ok(#call)
                }
            };
            let values = if self.kind == Kind::Loaded {
                quote! {
                    crate::graphql::loader::Load::run_all(
                        parents.iter().copied().map(#resolve),
                        request,
                    )
                }
            } else {
                quote!(crate::graphql::plan::await_each(parents, #resolve))
            };
            return quote! {
                #head

                impl crate::graphql::plan::ReadField for #marker {
                    const IS_DETAIL: bool = #is_detail;
                    type Parent = #parent;
                    type Output = #output;

                    fn resolve<'a>(
                        parents: &'a [&'a #parent],
                        request: &'a crate::graphql::context::RequestContext,
                        arguments: crate::graphql::plan::Arguments<'a>,
                    ) -> impl ::std::future::Future<
                        Output = ::std::vec::Vec<
                            ::std::result::Result<Self::Output, ::async_graphql::ServerError>,
                        >,
                    > + ::std::marker::Send + 'a {
                        #values
                    }
                }
            };
        }
        let declared = quote! {
            parent: &'a #parent,
            request: &'a crate::graphql::context::RequestContext,
            arguments: &crate::graphql::plan::Arguments<'_>,
        };
        let borrowed = with_lifetime(&self.output, "'a");
        let lasting = with_lifetime(&self.output, "'static");
        quote! {
            #head

            impl crate::graphql::plan::ComputedField for #marker {
                const IS_DETAIL: bool = #is_detail;
                type Parent = #parent;
                type Output<'a> = #borrowed;
                type Below = <#lasting as crate::graphql::plan::Output>::Below;

                #[allow(unused_variables, reason = "not every resolver needs everything")]
                fn resolve<'a>(#declared) -> ::std::result::Result<
                    Self::Output<'a>,
                    ::async_graphql::ServerError,
                > {
                    #(#read)*
                    ::std::result::Result::Ok(#call)
                }
            }
        }
    }

    /// Where a field of this name is compiled.
    pub(crate) fn arm(&self) -> TokenStream {
        let (name, marker) = (&self.name, &self.marker);
        let compile = match self.kind {
            Kind::Computed => format_ident!("computed"),
            Kind::Loaded | Kind::Read => format_ident!("read"),
        };
        quote!(#name => field.#compile::<#marker>(),)
    }
}

/// What `#[graphql(…)]` says of a field or an argument.
#[derive(Default)]
struct Options {
    name: Option<String>,
    default: Option<TokenStream>,
}

impl Options {
    fn parse(attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::default();
        for attribute in attributes.iter().filter(|attribute| is_graphql(attribute)) {
            attribute.parse_nested_meta(|meta| {
                if meta.path.is_ident("name") {
                    options.name = Some(meta.value()?.parse::<LitStr>()?.value());
                } else if meta.path.is_ident("desc") {
                    meta.value()?.parse::<LitStr>()?;
                } else if meta.path.is_ident("default") && meta.input.peek(Token![=]) {
                    let value: Expr = meta.value()?.parse()?;
                    options.default = Some(quote!(#value));
                } else if meta.path.is_ident("default") {
                    options.default = Some(quote!(::std::default::Default::default()));
                } else {
                    return Err(meta.error("plans do not know this option"));
                }
                Ok(())
            })?;
        }
        Ok(options)
    }
}

fn is_graphql(attribute: &Attribute) -> bool {
    attribute.path().is_ident("graphql")
}

/// Removes an attribute of this crate; whether it was present.
fn take_out(attributes: &mut Vec<Attribute>, name: &str) -> bool {
    let before = attributes.len();
    attributes.retain(|attribute| !attribute.path().is_ident(name));
    attributes.len() < before
}

fn is_request(ty: &Type) -> bool {
    let Type::Reference(reference) = ty else {
        return false;
    };
    matches!(&*reference.elem, Type::Path(path)
        if path.path.segments.last().is_some_and(|last| last.ident == "RequestContext"))
}

/// What a field answers with whose resolver returns `FieldResult<Load<_, T>>`: `FieldResult<T>`.
fn loaded(ty: &Type) -> Option<Type> {
    let of_load = argument(ty, "FieldResult", 0)?;
    let answer = argument(of_load, "Load", 1)?;
    Some(parse_quote!(FieldResult<#answer>))
}

/// The type at this place among the arguments of the generic type `name`, if `ty` is one of those.
fn argument<'a>(ty: &'a Type, name: &str, place: usize) -> Option<&'a Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(generic) = &last.arguments else {
        return None;
    };
    match generic.args.get(place)? {
        GenericArgument::Type(ty) if last.ident == name => Some(ty),
        _ => None,
    }
}

/// `ty` with this lifetime where it has references without one.
fn with_lifetime(ty: &Type, lifetime: &str) -> Type {
    struct Elided(Lifetime);

    impl VisitMut for Elided {
        fn visit_type_reference_mut(&mut self, reference: &mut TypeReference) {
            reference.lifetime.get_or_insert_with(|| self.0.clone());
            visit_type_reference_mut(self, reference);
        }
    }

    let mut ty = ty.clone();
    let lifetime = Lifetime::new(lifetime, proc_macro2::Span::call_site());
    Elided(lifetime).visit_type_mut(&mut ty);
    ty
}

/// A name of Rust's as the graph has it.
fn camel_case(ident: &Ident) -> String {
    let text = ident.to_string();
    let mut words = text.trim_start_matches("r#").split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}
