//! One operation, whichever way its answers go.

use std::sync::Arc;

use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::auth::AuthorizedServices;
use crate::domain::{Error, Result};
use crate::graphql::{
    EventSlots, GraphqlRequest, GraphqlResponse, PreparedRequest, Renewal, RequestError,
    ResponseStream,
};
use crate::http::HttpState;
use crate::http::failure::Failure;
use crate::http::graphql::{anonymous_place, authorize, prepare};
use crate::telemetry::carry;

/// What an operation comes to.
pub(in crate::http) enum Outcome {
    /// One answer.
    Answer(GraphqlResponse),
    /// An answer for each event.
    Events(Box<ResponseStream>),
    /// Nothing was executed.
    Refused(RequestError),
    /// The credentials are worth nothing any more.
    Expelled(Error),
}

/// Runs an operation for whoever has these credentials, the value of an `Authorization` header;
/// under the same bounds as a request by HTTP.
pub(super) async fn run(
    state: &HttpState,
    credentials: Option<&str>,
    request: GraphqlRequest,
    slots: &EventSlots,
) -> Outcome {
    let Ok(_place) = state.limits.capacity.try_acquire() else {
        return Outcome::Refused(Failure::overloaded().into());
    };
    let limit = state.limits.timeout;
    let run = async {
        let services = match authorize(state, credentials).await {
            Ok(services) => services,
            Err(error @ Error::Unauthenticated(_)) => return Outcome::Expelled(error),
            Err(error) => return Outcome::Refused(Failure::from(error).into()),
        };
        let _anonymous = match &services {
            Some(_) => None,
            None => match anonymous_place(state) {
                Ok(place) => Some(place),
                Err(failure) => return Outcome::Refused(failure.into()),
            },
        };
        match prepare(state, request, services.as_ref()) {
            Ok(Ok(prepared)) => execute(state, credentials, prepared, services, slots).await,
            Ok(Err(refusal)) => Outcome::Refused(refusal),
            Err(failure) => Outcome::Refused(failure.into()),
        }
    };
    timeout(limit, run)
        .await
        .unwrap_or_else(|_| Outcome::Refused(Failure::timeout().into()))
}

/// Runs an operation that has been found good.
pub(in crate::http) async fn execute(
    state: &HttpState,
    credentials: Option<&str>,
    prepared: PreparedRequest,
    services: Option<AuthorizedServices>,
    slots: &EventSlots,
) -> Outcome {
    if !prepared.is_subscription() {
        let budget = state.graphql.budget();
        let response = state.graphql.execute(prepared, services, budget).await;
        return match response.data {
            Some(_) => Outcome::Answer(response),
            None => Outcome::Refused(RequestError {
                errors: response.errors,
            }),
        };
    }
    let renew = renewal(state, credentials);
    let subscribed = state
        .graphql
        .subscribe(prepared, renew, state.limits.timeout, slots.clone());
    match subscribed.await {
        Ok(events) => Outcome::Events(Box::new(events)),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// Checks the credentials of a subscriber anew, as often as it is asked.
fn renewal(state: &HttpState, credentials: Option<&str>) -> Renewal {
    let state = state.clone();
    let credentials = credentials.map(str::to_owned);
    Arc::new(move || {
        let state = state.clone();
        let credentials = credentials.clone();
        Box::pin(async move { renewed(&state, credentials.as_deref()).await })
    })
}

/// The services as whoever has these credentials may use them now.
async fn renewed(state: &HttpState, credentials: Option<&str>) -> Result<AuthorizedServices> {
    let services = authorize(state, credentials).await?;
    services.ok_or_else(|| {
        let message = "no credentials; without them nothing can be subscribed to";
        Error::Unauthenticated(message.to_owned())
    })
}

impl From<Failure> for RequestError {
    fn from(failure: Failure) -> Self {
        Self::from(failure.into_error())
    }
}

/// A task that ends when nobody holds it any more.
#[derive(Debug)]
pub(super) struct Task(JoinHandle<()>);

impl Task {
    pub(super) fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(carry(work)))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}
