//! What a block of resolvers becomes.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{Error, ImplItem, ItemImpl, Result, Type};

use super::field::Field;

/// The block as both ways of executing a query know it.
pub(crate) fn expand(attributes: &TokenStream, block: ItemImpl) -> Result<TokenStream> {
    let ty = &block.self_ty;
    let Type::Path(path) = &**ty else {
        return Err(Error::new_spanned(ty, "an object is a type of its own"));
    };
    let Some(name) = path.path.segments.last().map(|last| last.ident.to_string()) else {
        return Err(Error::new_spanned(ty, "an object has a name"));
    };
    let mut fields = Vec::with_capacity(block.items.len());
    for item in block.items {
        match item {
            ImplItem::Fn(function) => fields.push(Field::parse(function)?),
            other => {
                return Err(Error::new_spanned(other, "only resolvers may stand here"));
            }
        }
    }
    let documentation = &block.attrs;
    let resolvers = fields.iter().map(Field::resolver);
    let engine = fields.iter().map(Field::for_engine);
    let plan = fields.iter().map(|field| field.for_plan(ty));
    let arms = fields.iter().map(Field::arm);
    let reads = fields.iter().filter_map(Field::reads);
    Ok(quote! {
        #[allow(
            clippy::needless_pass_by_value,
            clippy::trivially_copy_pass_by_ref,
            clippy::unnecessary_wraps,
            clippy::unused_self,
            reason = "resolvers are alike, whatever they need"
        )]
        impl #ty {
            #(#resolvers)*
        }

        #(#documentation)*
        #[::async_graphql::Object(#attributes)]
        impl #ty {
            #(#engine)*
        }

        const _: () = {
            #(#plan)*

            impl crate::graphql::plan::PlannedObject for #ty {
                const NAME: &'static str = #name;
                const READS: &'static [(&'static str, u64)] = &[#(#reads)*];

                fn plan(
                    field: &crate::graphql::plan::FieldCompiler<'_>,
                ) -> ::std::option::Option<
                    ::std::boxed::Box<dyn crate::graphql::plan::FieldPlan<Self>>,
                > {
                    match field.name() {
                        #(#arms)*
                        _ => ::std::option::Option::None,
                    }
                }
            }

            crate::graphql::plan::object_output!(#ty);
        };
    })
}
