//! `#[object]`: one definition of each field for both ways of executing a query.
//!
//! The attribute stands over a block of resolvers:
//!
//! ```text
//! /// A picture.
//! #[object]
//! impl Picture {
//!     /// Where it is.
//!     fn url(&self) -> &str { … }
//!
//!     /// Whose it is.
//!     async fn owner(&self, request: &RequestContext) -> FieldResult<User> { … }
//! }
//! ```
//!
//! and makes of it an object of the engine, which validates, introspects and can run it, and an
//! object that plans are compiled of. A resolver that is `async` reads something. One that returns a
//! `FieldResult<Load<_, T>>` names what it looks up, and is a field of the type `T`. Any other is
//! computed whenever its value is wanted, also twice, and so must be cheap. Resolvers take
//! `&self`, then the `RequestContext` if they need it (and then return a `FieldResult`), then the
//! arguments of the field. `#[detail]` stands over a resolver that needs what an object lacks which
//! was read in brief: objects of an operation that selects no such field are. `#[search]` stands over one
//! that searches or counts, which costs more than other statements. Everything else,
//! `#[graphql(…)]` on fields and arguments included, is as `async_graphql::Object` has it, of which
//! `name`, `desc`, `default` and `default = …` may be used.

mod field;
mod object;

use proc_macro::TokenStream;
use syn::{ItemImpl, parse_macro_input};

/// Makes an object of the graph of a block of resolvers; see the crate's page.
#[proc_macro_attribute]
pub fn object(attributes: TokenStream, item: TokenStream) -> TokenStream {
    let block = parse_macro_input!(item as ItemImpl);
    object::expand(&attributes.into(), block)
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
