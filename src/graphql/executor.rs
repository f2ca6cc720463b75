//! One operation, from its text to its answer.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, OnceLock};
use std::task::Poll;

use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{
    Request, Response, SDLExportOptions, Schema, SchemaBuilder, ValidationMode, Value, Variables,
};
use futures_util::StreamExt as _;
use metrics::{Counter, counter};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use super::budget::{Budget, LARGE_BYTES};
use super::completion::complete;
use super::context::{Details, RequestContext};
use super::document::{
    BatchAllowance, DocumentKey, Documents, Found, Operation, StoredDocument, TrustError,
    TrustedDocuments, Verdict, bind, check_cost, coerce, is_plain, is_settled, missing,
    refuse_null_characters, refuse_overlaps, require_one_event_field, rewrite, run_once,
};
use super::error::{GraphqlError, RequestError, bounded, from_engine, log};
use super::event_slots::EventLimiter;
use super::hub::ChangeHub;
use super::loader::Driver;
use super::memory::Memory;
use super::model::SchemaModel;
use super::mutation::Mutation;
use super::object::{
    AuthIdentity, Organization, OrganizationMemberConnection, User, UserConnection, UserOption,
    UserOptionChange, Viewer,
};
use super::plan::{Answer, Plan, PlannedObject as _};
use super::query::Query;
use super::request::GraphqlRequest;
use super::response::{Data, GraphqlResponse};
use super::subscription::{Happening, Stage, Subscription, Topic};
use super::validator::Validator;
use crate::auth::AuthorizedServices;
use crate::config::{GraphqlConfig, Limits};
use crate::domain::{Code, Error};
use crate::service::Listener;

/// Operations that were run, by whether a plan or the engine did it.
const OPERATIONS: &str = "user_gateway_operations_total";

/// How many operations that ask about the schema are executed at a time. The engine holds each of their
/// answers as a tree, which may take tens of megabytes; more operations wait.
const MAX_CONCURRENT_INTROSPECTIONS: usize = 4;

/// The minimum costs of fields that read something, by object.
const READS: [(&str, &[(&str, u64)]); 10] = [
    (Query::NAME, Query::READS),
    (Mutation::NAME, Mutation::READS),
    (Viewer::NAME, Viewer::READS),
    (User::NAME, User::READS),
    (UserConnection::NAME, UserConnection::READS),
    (UserOption::NAME, UserOption::READS),
    (UserOptionChange::NAME, UserOptionChange::READS),
    (AuthIdentity::NAME, AuthIdentity::READS),
    (Organization::NAME, Organization::READS),
    (
        OrganizationMemberConnection::NAME,
        OrganizationMemberConnection::READS,
    ),
];

/// The schema, ready to execute.
pub(super) type Engine = Schema<Query, Mutation, Subscription>;

/// The schema, with how to execute still to be said.
pub(super) type EngineBuilder = SchemaBuilder<Query, Mutation, Subscription>;

/// The graph, ready to answer.
#[derive(Clone)]
pub struct Graphql {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Engine,
    validator: Validator,
    documents: Documents,
    model: SchemaModel,
    limits: Limits,
    config: GraphqlConfig,
    hub: Arc<ChangeHub>,
    events: EventLimiter,
    memory: Memory,
    introspections: Arc<Semaphore>,
    runs: OnceLock<Runs>,
}

/// The counters of operations that were run. They are found once, at the first run, when whoever
/// gathers them is there.
struct Runs {
    by_plan: Counter,
    by_engine: Counter,
}

impl Inner {
    fn new(config: GraphqlConfig, limits: Limits) -> Result<Self, Error> {
        let schema = || {
            let schema = Schema::build(Query, Mutation, Subscription)
                // The document's own checks come first and have codes.
                .limit_recursive_depth(usize::from(u8::MAX));
            if config.introspection {
                schema
            } else {
                schema.disable_introspection()
            }
        };
        // What it executes has been validated by then.
        let engine = schema().validation_mode(ValidationMode::Fast).finish();
        let mut model = SchemaModel::parse(&sdl(&engine)).map_err(Error::internal)?;
        model.note_reads(&READS);
        Ok(Self {
            engine,
            validator: Validator::new(schema),
            documents: Documents::new(&config),
            model,
            limits,
            config,
            hub: Arc::default(),
            events: EventLimiter::new(),
            memory: Memory::new(limits.response_memory),
            introspections: Arc::new(Semaphore::new(MAX_CONCURRENT_INTROSPECTIONS)),
            runs: OnceLock::new(),
        })
    }

    fn runs(&self) -> &Runs {
        self.runs.get_or_init(|| Runs {
            by_plan: counter!(OPERATIONS, "executor" => "plan"),
            by_engine: counter!(OPERATIONS, "executor" => "engine"),
        })
    }

    /// Parses a document that is to be trusted, and refuses one of which an operation could not be
    /// answered, whatever its variables are. The plans are compiled on the way.
    fn examine(&self, text: &str) -> Result<StoredDocument, RequestError> {
        let document = StoredDocument::parse(text, &self.limits)?;
        for name in document.names() {
            let operation = document.operation(name)?;
            self.check_form(&operation)?;
            let variables = coerce(&operation, Variables::default(), &self.model, &self.limits);
            // What depends on values is looked at when they are known.
            let variables = variables.unwrap_or_default();
            refuse_null_characters(&operation, &variables)?;
            if operation.definition.node.variable_definitions.is_empty() {
                check_cost(&operation, &variables, &self.model, &self.limits)?;
            }
            let request = whole_request(&operation, &variables, &self.model);
            self.validator.validate(request, operation.is_short())?;
            refuse_overlaps(&operation, &self.model)?;
            if self.config.plans {
                operation
                    .stored
                    .plans
                    .get(&operation, &variables, &self.model);
            }
        }
        Ok(document)
    }

    /// Checks what depends on no variable and is no concern of the engine's rules.
    fn check_form(&self, operation: &Operation<'_>) -> Result<(), RequestError> {
        if !self.config.introspection && operation.asks_about_schema() {
            // The engine leaves the fields out without a word.
            let message = "the schema cannot be asked for here; read `schema.graphql` instead";
            return Err(GraphqlError::new(Code::GraphqlValidationFailed, message).into());
        }
        if operation.is_subscription() {
            require_one_event_field(operation)?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for Graphql {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Graphql")
            .field("limits", &self.inner.limits)
            .finish_non_exhaustive()
    }
}

/// A request whose document has been found good, so far as that does not depend on the schema.
#[derive(Debug)]
pub struct PreparedRequest {
    document: Arc<StoredDocument>,
    /// Where the operation stands that is to run.
    place: usize,
    /// What to keep the document under once it is valid.
    key: Option<DocumentKey>,
    given: Variables,
}

impl PreparedRequest {
    /// Whether the operation may change something.
    #[must_use]
    pub fn is_mutation(&self) -> bool {
        self.operation().is_mutation()
    }

    /// Whether the operation is answered by events; see [`Graphql::subscribe`].
    #[must_use]
    pub fn is_subscription(&self) -> bool {
        self.operation().is_subscription()
    }

    /// Whether the operation asks about the schema and nothing else.
    #[must_use]
    pub fn is_introspection(&self) -> bool {
        self.operation().is_introspection()
    }

    fn operation(&self) -> Operation<'_> {
        self.document.at(self.place)
    }
}

impl Graphql {
    /// The graph with these bounds.
    pub fn new(config: GraphqlConfig, limits: Limits) -> Result<Self, Error> {
        let inner = Arc::new(Inner::new(config, limits)?);
        Ok(Self { inner })
    }

    /// The graph with these bounds that answers these documents alone, given by their ids and
    /// texts. Fails if one of them could never be answered.
    pub fn trusting(
        config: GraphqlConfig,
        limits: Limits,
        texts: Vec<(String, String)>,
    ) -> Result<Self, TrustError> {
        let mut inner = Inner::new(config, limits)?;
        let trusted = TrustedDocuments::new(texts, |text| inner.examine(text))?;
        inner.documents.trust(trusted);
        let inner = Arc::new(inner);
        Ok(Self { inner })
    }

    /// How many documents there are that alone are answered, if not all are.
    #[must_use]
    pub fn trusted_documents(&self) -> Option<usize> {
        self.inner.documents.trusted().map(TrustedDocuments::len)
    }

    /// Who must hear of every change, for subscriptions to have their events.
    #[must_use]
    pub fn listener(&self) -> Arc<dyn Listener> {
        Arc::clone(&self.inner.hub) as Arc<dyn Listener>
    }

    /// The schema in the schema definition language.
    #[must_use]
    pub fn sdl(&self) -> String {
        sdl(&self.inner.engine)
    }

    /// The bounds on what a request may ask for.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.inner.limits
    }

    /// What is offered.
    #[must_use]
    pub fn config(&self) -> &GraphqlConfig {
        &self.inner.config
    }

    /// Finds the document of `request`, or parses its text if it is not known, and finds the
    /// operation to run.
    pub fn prepare(&self, request: GraphqlRequest) -> Result<PreparedRequest, RequestError> {
        let limits = &self.inner.limits;
        let parse = |text: &str| StoredDocument::parse(text, limits);
        let Found { document, key } = self.inner.documents.find(&request, parse)?;
        Ok(PreparedRequest {
            place: document.place(request.operation_name.as_deref())?,
            document,
            key,
            given: request.variables,
        })
    }

    /// A new budget, which the operations of a request share.
    #[must_use]
    pub fn budget(&self) -> Arc<Budget> {
        Arc::new(Budget::new(&self.inner.limits, self.inner.memory.clone()))
    }

    /// Runs a prepared request with the services that its caller may use. A subscription is
    /// refused. What it takes is taken from `budget`; an operation that would take more than is left
    /// is stopped, and answered by null with an error of the code `COST_LIMIT_EXCEEDED` or
    /// `RESPONSE_LIMIT_EXCEEDED`. What it has changed by then stays changed.
    pub async fn execute(
        &self,
        prepared: PreparedRequest,
        services: Option<AuthorizedServices>,
        budget: Arc<Budget>,
    ) -> GraphqlResponse {
        if prepared.is_subscription() {
            let refusal = GraphqlError::new(Code::NotAcceptable, ONLY_AS_EVENTS);
            return RequestError::from(refusal).into();
        }
        match self.bind(prepared) {
            Ok(bound) => self.run(bound, services, budget).await,
            Err(refusal) => refusal.into(),
        }
    }

    /// The limits that the operations of a batch share.
    #[must_use]
    pub fn batch_allowance(&self) -> BatchAllowance {
        BatchAllowance::new(&self.inner.limits)
    }

    /// Checks an operation of a batch, and deducts it from the shared limits. Refuses a subscription.
    pub fn bind_in_batch(
        &self,
        prepared: PreparedRequest,
        allowance: &mut BatchAllowance,
    ) -> Result<BoundRequest, RequestError> {
        if prepared.is_subscription() {
            return Err(GraphqlError::new(Code::NotAcceptable, ONLY_AS_EVENTS).into());
        }
        let bound = self.bind(prepared)?;
        allowance.take(&bound.operation(), bound.cost)?;
        Ok(bound)
    }

    /// Runs a valid request with the services of its caller, charged to `budget`; see
    /// [`Graphql::execute`].
    pub async fn run(
        &self,
        bound: BoundRequest,
        services: Option<AuthorizedServices>,
        budget: Arc<Budget>,
    ) -> GraphqlResponse {
        if let Err(error) = budget.check() {
            return GraphqlResponse::stopped(error);
        }
        let plan = services
            .as_ref()
            .and_then(|_| self.plan(&bound.prepared, &bound.variables));
        let (plan, services) = match (plan, services) {
            (Some(plan), Some(services)) => (plan, services),
            // Beside the future, which is the smaller for all that plans cover.
            (_, services) => {
                let bound = Arc::new(bound);
                let run = Box::pin(self.run_engine(&bound, services, &budget)).await;
                return run.unwrap_or_else(GraphqlResponse::from);
            }
        };
        self.inner.runs().by_plan.increment(1);
        let details = plan.details;
        let request =
            RequestContext::new(services, self.inner.limits, Driver::Plan, details, budget);
        match plan.run(&request, bound.variables).await {
            Ok(Answer { data, errors }) => GraphqlResponse {
                data: Some(data),
                errors,
            },
            Err(error) => GraphqlResponse::stopped(error),
        }
    }

    /// The plan of a valid request, if there are plans and they cover it.
    fn plan<'a>(&self, prepared: &'a PreparedRequest, variables: &Variables) -> Option<&'a Plan> {
        let operation = prepared.operation();
        let plans = self.inner.config.plans.then_some(&operation.stored.plans)?;
        plans.get(&operation, variables, &self.inner.model)
    }

    async fn run_engine(
        &self,
        bound: &Arc<BoundRequest>,
        services: Option<AuthorizedServices>,
        budget: &Arc<Budget>,
    ) -> Result<GraphqlResponse, RequestError> {
        self.inner.runs().by_engine.increment(1);
        let mut request = bound.request(&self.inner.model);
        // Without services resolvers have no context, and fail.
        let context = services.map(|services| self.engine_context(services, budget));
        if let Some(context) = &context {
            request = request.data(Arc::clone(context));
        }
        let response = match limited(budget, self.inner.engine.execute(request)).await {
            Ok(response) => response,
            Err(error) => return Ok(GraphqlResponse::stopped(error)),
        };

        // The type of the root is asked for in every operation, so there are data if any of it
        // was executed.
        let executed = response.data != Value::Null;
        if !executed && !response.errors.is_empty() {
            return Err(refused(response));
        }
        let counted = context.map_or(0, |context| context.counted());
        Ok(self.complete(bound, response, budget, counted).await)
    }

    /// The context of an operation that the engine runs.
    fn engine_context(
        &self,
        services: AuthorizedServices,
        budget: &Arc<Budget>,
    ) -> Arc<RequestContext> {
        Arc::new(RequestContext::new(
            services,
            self.inner.limits,
            Driver::Engine,
            Details::WHOLE,
            Arc::clone(budget),
        ))
    }

    /// Completes the engine's response to an operation, of which `counted` bytes have been charged: adds
    /// what the operation asks about the schema, and puts all of it together.
    async fn complete(
        &self,
        bound: &Arc<BoundRequest>,
        mut response: Response,
        budget: &Budget,
        counted: usize,
    ) -> GraphqlResponse {
        let permit = if bound.operation().asks_about_schema() {
            let introspections = Arc::clone(&self.inner.introspections);
            introspections.acquire_owned().await.ok()
        } else {
            None
        };
        // Introspection is not charged while it runs, and may be large.
        let is_large = counted > LARGE_BYTES || permit.is_some();
        let (inner, bound) = (Arc::clone(&self.inner), Arc::clone(bound));
        let runtime = Handle::current();
        let finish = move || {
            let (operation, variables) = (bound.operation(), &bound.variables);
            if permit.is_some() {
                // The engine computes this without yielding, and to the end if the client disconnects.
                let request = bound.introspection(&inner.model);
                let schema = runtime.block_on(inner.engine.execute(request));
                add_schema(&mut response, schema);
            }
            let errors = response.errors.into_iter();
            let errors: Vec<_> = errors.map(|error| from_engine(error, true)).collect();
            let data = response.data;
            let (data, errors) = complete(&operation, variables, &inner.model, data, errors);
            GraphqlResponse {
                data: Some(Data::of(&data)),
                errors: bounded(errors, inner.limits.errors),
            }
        };
        let finished = if is_large {
            run_blocking(finish).await
        } else {
            Ok(finish())
        };
        let response = finished.unwrap_or_else(GraphqlResponse::stopped);
        // While it ran, only a lower bound of its bytes was charged.
        budget.write(response.bytes().saturating_sub(counted));
        match budget.check() {
            Ok(()) => response,
            Err(error) => GraphqlResponse::stopped(error),
        }
    }

    /// Checks all of a request that depends on its variables, and validates it.
    pub(super) fn bind(&self, prepared: PreparedRequest) -> Result<BoundRequest, RequestError> {
        let errors = self.inner.limits.errors;
        self.try_bind(prepared)
            .map_err(|refusal| refusal.bounded(errors))
    }

    fn try_bind(&self, mut prepared: PreparedRequest) -> Result<BoundRequest, RequestError> {
        let Inner { model, limits, .. } = &*self.inner;
        let given = std::mem::take(&mut prepared.given);
        let operation = prepared.operation();
        self.inner.check_form(&operation)?;
        let variables = coerce(&operation, given, model, limits)?;
        refuse_null_characters(&operation, &variables)?;
        let cost = check_cost(&operation, &variables, model, limits)?;
        let bound = BoundRequest {
            prepared,
            variables,
            cost,
        };
        self.validate(&bound)?;
        Ok(bound)
    }

    /// Refuses what the engine's rules forbid. The document of what they allow is kept, and what
    /// they say of it, as far as they would say the same whatever the variables are.
    fn validate(&self, bound: &BoundRequest) -> Result<(), RequestError> {
        let Inner {
            validator,
            documents,
            model,
            config,
            ..
        } = &*self.inner;
        let operation = bound.operation();
        let verdict = &operation.stored.verdict;
        // Without plans the engine is asked for everything.
        if verdict.get().is_none() && config.plans && is_plain(&operation, model) {
            verdict.get_or_init(|| Verdict::Always);
        }
        if verdict.get() != Some(&Verdict::Always) {
            validator.validate(bound.given_request(model), operation.is_short())?;
            refuse_overlaps(&operation, model)?;
        }
        if verdict.get().is_none() {
            // What was taken out with a variable that has no value may still be wrong.
            let is_whole = missing(&operation, &bound.variables).next().is_none();
            let whole = || whole_request(&operation, &bound.variables, model);
            if !is_whole && validator.validate(whole(), operation.is_short()).is_err() {
                return Ok(());
            }
            let found = if is_settled(&operation, model) {
                Verdict::Always
            } else {
                Verdict::ByValues
            };
            verdict.get_or_init(|| found);
        }
        if let Some(key) = &bound.prepared.key {
            documents.keep(key, &bound.prepared.document);
        }
        Ok(())
    }

    /// Checks a subscription, and finds what it waits for.
    pub(super) async fn open(
        &self,
        prepared: PreparedRequest,
    ) -> Result<(Arc<BoundRequest>, Topic), RequestError> {
        let bound = Arc::new(self.bind(prepared)?);
        let stage = Arc::new(Stage::opening(self.inner.limits));
        let request = bound.request(&self.inner.model);
        let request = request.data(Arc::clone(&stage));
        let mut responses = self.inner.engine.execute_stream(request);
        while let Some(response) = responses.next().await {
            if !response.errors.is_empty() {
                return Err(refused(response));
            }
        }
        let unsaid = || Error::internal("a subscription does not say what it waits for");
        let topic = stage.topic().ok_or_else(unsaid);
        let topic = topic.map_err(|error| RequestError::from(GraphqlError::from(&error)))?;
        Ok((bound, topic))
    }

    /// The answer of a subscription to something that has happened.
    pub(super) async fn tell(
        &self,
        bound: &Arc<BoundRequest>,
        happening: Happening,
        services: AuthorizedServices,
    ) -> GraphqlResponse {
        let budget = self.budget();
        // The change itself is an object, too.
        budget.charge(1);
        let context = self.engine_context(services, &budget);
        let request = bound
            .request(&self.inner.model)
            .data(Arc::new(Stage::Event(happening)))
            .data(Arc::clone(&context));
        let mut responses = self.inner.engine.execute_stream(request);
        match limited(&budget, responses.next()).await {
            Ok(response) => {
                let response = response.unwrap_or_default();
                let counted = context.counted();
                self.complete(bound, response, &budget, counted).await
            }
            Err(error) => GraphqlResponse::stopped(error),
        }
    }

    /// Who waits for what.
    pub(super) fn hub(&self) -> &Arc<ChangeHub> {
        &self.inner.hub
    }

    /// The places of those events that are being answered.
    pub(super) fn events(&self) -> &EventLimiter {
        &self.inner.events
    }
}

/// A valid request, with the values of its variables.
#[derive(Debug)]
pub struct BoundRequest {
    prepared: PreparedRequest,
    variables: Variables,
    /// Its estimated cost.
    cost: u64,
}

impl BoundRequest {
    fn operation(&self) -> Operation<'_> {
        self.prepared.operation()
    }

    /// The request as the engine runs it, where what asks about the schema is null.
    fn request(&self, model: &SchemaModel) -> Request {
        let operation = self.operation();
        let mut executable = bind(&operation, &self.variables, model);
        run_once(&operation, &self.variables, &mut executable);
        request_for(&operation, &self.variables, executable).disable_introspection()
    }

    /// The request as the engine runs it, where everything but what asks about the schema is null.
    fn introspection(&self, model: &SchemaModel) -> Request {
        self.request(model).only_introspection()
    }

    /// The request without what depends on variables that have no value.
    fn given_request(&self, model: &SchemaModel) -> Request {
        let operation = self.operation();
        let executable = bind(&operation, &self.variables, model);
        request_for(&operation, &self.variables, executable)
    }
}

/// Runs `work` on a blocking thread.
async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, GraphqlError> {
    spawn_blocking(work).await.map_err(|error| {
        let error = Error::internal(error);
        log(&error);
        GraphqlError::from(&error)
    })
}

/// Polls `running`, and drops it as soon as the budget is exceeded.
async fn limited<F: Future>(budget: &Budget, running: F) -> Result<F::Output, GraphqlError> {
    let mut running = pin!(running);
    poll_fn(
        |context| match (running.as_mut().poll(context), budget.check()) {
            (Poll::Ready(output), _) => Poll::Ready(Ok(output)),
            (Poll::Pending, Ok(())) => Poll::Pending,
            (Poll::Pending, Err(stopped)) => Poll::Ready(Err(stopped)),
        },
    )
    .await
}

/// Adds to the engine's response what the operation asks about the schema, which is null there.
fn add_schema(response: &mut Response, schema: Response) {
    if let (Value::Object(data), Value::Object(schema)) = (&mut response.data, schema.data) {
        data.extend(
            schema
                .into_iter()
                .filter(|(_, value)| *value != Value::Null),
        );
    }
    response.errors.extend(schema.errors);
}

/// The request for an operation with what depends on variables that have no value.
fn whole_request(operation: &Operation<'_>, variables: &Variables, model: &SchemaModel) -> Request {
    request_for(operation, variables, rewrite(operation.document, model))
}

fn request_for(
    operation: &Operation<'_>,
    variables: &Variables,
    executable: ExecutableDocument,
) -> Request {
    let mut request = Request::new("").variables(variables.clone());
    if let Some(name) = operation.name {
        request = request.operation_name(name);
    }
    request.set_parsed_query(executable);
    request
}

/// Why the engine executed nothing.
pub(super) fn refused(response: Response) -> RequestError {
    let errors = response.errors.into_iter();
    let errors = errors.map(|error| GraphqlError {
        path: Vec::new(),
        ..from_engine(error, false)
    });
    let mut errors: Vec<GraphqlError> = errors.collect();
    // The rules walk fragments in no order, and as often as they are spread.
    let place = |error: &GraphqlError| {
        let places = error.locations.iter().map(|pos| (pos.line, pos.column));
        (places.collect::<Vec<_>>(), error.message.clone())
    };
    errors.sort_by_cached_key(place);
    errors.dedup_by_key(|error| place(error));
    RequestError { errors }
}

/// Why a subscription is not simply answered.
pub const ONLY_AS_EVENTS: &str = "a subscription is answered by events; send it alone, either over a WebSocket or with \
     `Accept: text/event-stream`";

fn sdl(engine: &Engine) -> String {
    let options = SDLExportOptions::new()
        .include_specified_by()
        .use_space_ident()
        .indent_width(2);
    let text = engine.sdl_with_options(options);
    let mut sdl = String::with_capacity(text.len());
    for line in text.trim().lines() {
        sdl.push_str(line.trim_end());
        sdl.push('\n');
    }
    sdl
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};

    use super::*;

    /// Operations that are plainly valid.
    const PLAIN: [&str; 12] = [
        "{ viewer { scopes } }",
        "{ __typename user ( id : 1 ) { id __typename } a : viewer { scopes } b : node ( id : 2 ) { id } }",
        "query Q ( $id : ID! ) { user ( id : $id ) { id username name } }",
        "query Q ( $ids : [ID!]! ) { users ( filter : { ids : $ids } , first : 100 ) { \
         nodes { id organizations { id slug } options { key value } } pageInfo { endCursor } } }",
        "query Q ( $filter : UserFilter! $after : String ) { users ( filter : $filter , after : $after , \
         orderBy : { field : USERNAME direction : DESC } ) { edges { cursor } totalCount } }",
        "query Q ( $order : UserOrder! ) { a : users ( orderBy : $order ) { totalCount } b : users { totalCount } }",
        "query Q ( $names : [String!]! ) { existingUsernames ( usernames : $names ) }",
        "query Q ( $on : Boolean! ) { organizations ( userId : \"User:1\" , onlyVisible : $on ) { \
         members ( first : 3 ) { nodes { id } } } }",
        "{ nodes ( ids : [ 1 , \"User:2\" ] ) { id } }",
        "mutation M ( $input : SetUserOptionInput! ) { setUserOption ( input : $input ) { \
         option { id value } changed errors { code } } }",
        "mutation M ( $id : ID! $key : String! $value : JSON ) { setUserOption ( input : { userId : $id , key : $key , \
         value : $value } ) { changed } }",
        "mutation M ( $email : String! ) { getOrCreateUserByEmail ( input : { email : $email } ) { \
         user { id } created } }",
    ];
    /// Words that change what an operation means, beside those in [`PLAIN`].
    const FURTHER: &str = "query mutation subscription fragment on ... F @skip @include if true false \
         null 0 -1 1.5 3000000000 \"\" nothing Nothing Node User Int Boolean [ID] [ID!] JSON! \
         UserConnection! DateTime = [ ] \
         userChanged first last before after scope query isActive $nothing $value : JSON";

    #[test]
    fn what_is_plainly_valid_is_valid_to_the_engine() {
        let config = GraphqlConfig {
            graphiql: false,
            introspection: true,
            anonymous_introspection: false,
            draft_statuses: false,
            plans: true,
            document_cache_bytes: 0,
            persisted_queries: false,
        };
        let inner = Inner::new(config, Limits::default()).unwrap();
        let plain = |text: &str| {
            let document = StoredDocument::parse(text, &inner.limits).ok()?;
            let operation = document.operation(None).ok()?;
            let request = whole_request(&operation, &Variables::default(), &inner.model);
            let verdict = inner.validator.validate(request, true);
            let is_plain = is_plain(&operation, &inner.model);
            assert!(!is_plain || verdict.is_ok(), "{text}: {verdict:?}");
            assert!(
                !is_plain || refuse_overlaps(&operation, &inner.model).is_ok(),
                "{text}"
            );
            Some((is_plain, verdict.is_ok()))
        };
        for text in PLAIN {
            assert_eq!(plain(text), Some((true, true)), "{text}");
        }
        for text in [
            "{ a: viewer { scopes } a: node(id: 1) { id } }",
            "{ a: node(id: 1) { id } a: node(id: 2) { id } }",
            "query ($id: ID!, $id: ID!) { node(id: $id) { id } }",
            "query ($id: ID) { node(id: $id) { id } }",
            "query ($id: ID = 1) { node(id: $id) { id } }",
        ] {
            assert!(plain(text).is_some_and(|(is_plain, _)| !is_plain), "{text}");
        }
        let words: Vec<&str> = PLAIN
            .iter()
            .flat_map(|text| text.split_whitespace())
            .chain(FURTHER.split_whitespace())
            .collect();
        let kind = |word: &str| word.chars().next().map(char::is_alphabetic);
        let mut seen = [0; 3];
        for seed in 0..12_000 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut below = |bound: usize| random.random_range(0..bound);
            let mut text: Vec<&str> = PLAIN[below(PLAIN.len())].split_whitespace().collect();
            for _ in 0..=below(3) {
                let place = below(text.len());
                let word = match below(2) {
                    0 => words[below(words.len())],
                    _ => text[below(text.len())],
                };
                // Mostly another word of the same kind, else next to nothing would parse.
                match below(9) {
                    0 => text.insert(place, word),
                    1 if text.len() > 1 => drop(text.remove(place)),
                    2 | 3 => {
                        let end = text.len().min(place + 1 + below(4));
                        text.splice(end..end, text[place..end].to_vec());
                    }
                    _ if kind(word) == kind(text[place]) => text[place] = word,
                    _ => {}
                }
            }
            if let Some((is_plain, is_valid)) = plain(&text.join(" ")) {
                seen[usize::from(is_plain) + usize::from(is_valid)] += 1;
            }
        }
        let [wrong, otherwise_valid, plainly_valid] = seen;
        assert!(
            wrong > 500 && otherwise_valid > 20 && plainly_valid > 500,
            "{seen:?}"
        );
    }
}
