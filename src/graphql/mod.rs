//! The graph: what clients may ask for, and how an answer is made.
//!
//! Nothing here knows where data lives: a resolver parses its arguments into domain types, calls
//! one method of an authorized service, through a loader where fields fan out, and shows the
//! result through an object of `object`.

#![expect(
    clippy::unused_async,
    reason = "the engine wants every resolver to be async"
)]

mod budget;
mod completion;
mod context;
mod cursor;
mod document;
mod error;
mod event_slots;
mod executor;
mod hub;
mod id;
mod input;
mod loader;
mod memory;
mod model;
mod mutation;
mod object;
mod payload;
mod plan;
mod query;
mod request;
mod response;
mod response_stream;
mod scalar;
mod subscription;
mod validator;

pub use budget::Budget;
#[cfg(any(test, feature = "fuzzing"))]
pub use document::fuzz;
pub use document::{BatchAllowance, TrustError};
pub use error::{GraphqlError, RequestError, log};
pub use event_slots::EventSlots;
pub use executor::{BoundRequest, Graphql, ONLY_AS_EVENTS, PreparedRequest};
pub use request::{DocumentName, GraphqlRequest, Variables};
pub use response::{Data, GraphqlResponse};
pub use response_stream::{Renewal, ResponseStream};
