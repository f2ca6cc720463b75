//! The answers to a subscription, one for each event.
//!
//! A change says whose data it was and nothing else, and may be told of late, twice or together
//! with others. So each wake-up looks: with credentials that are checked anew, and past everything
//! that was read before.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::time::Duration;

use foldhash::quality::FixedState;
use futures_util::future::BoxFuture;
use indexmap::IndexMap;
use smol_str::SmolStr;
use tokio::time::{Instant, sleep, timeout};

use super::error::{GraphqlError, RequestError, log};
use super::event_slots::EventSlots;
use super::executor::{BoundRequest, Graphql, PreparedRequest};
use super::hub::{Reason, Watch};
use super::object::{User, UserOptionChange};
use super::response::{Data, GraphqlResponse};
use super::subscription::{Happening, Topic};
use crate::auth::AuthorizedServices;
use crate::domain::{Error, OptionScope, Result, StoredValue, UserId, UserOption};

/// Checks a subscriber's credentials anew and binds the services to their caller.
/// [`Error::Unauthenticated`] says that they are worth nothing any more.
pub type Renewal =
    Arc<dyn Fn() -> BoxFuture<'static, Result<AuthorizedServices>> + Send + Sync + 'static>;

/// How long a subscription survives an outage of what it reads.
const OUTAGE: Duration = Duration::from_mins(1);
/// The backoff between reads in an outage, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// After a gap, the reads of all subscriptions are spread over this time, so that they do not delay
/// queries.
const SPREAD: Duration = Duration::from_millis(500);

/// The gauge of subscriptions that are open.
const OPEN: &str = "user_gateway_subscriptions";
/// The counter of events that subscribers were told of.
const EVENTS: &str = "user_gateway_subscription_events_total";
/// Counts reads that failed and were retried.
const RETRIES: &str = "user_gateway_subscription_retries_total";

/// A subscription that has been opened.
pub struct ResponseStream {
    graphql: Graphql,
    bound: Arc<BoundRequest>,
    watch: Watch,
    subject: Subject,
    /// What has happened and is still to be told.
    pending: VecDeque<Happening>,
    renew: Renewal,
    timeout: Duration,
    slots: EventSlots,
    /// The current outage, if there is one.
    outage: Option<Outage>,
    is_over: bool,
    _counted: Counted,
}

impl std::fmt::Debug for ResponseStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ResponseStream")
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl Graphql {
    /// Opens a subscription. Its caller is looked up through `renew`, now and at every event; each
    /// event may take as long as `timeout` to be answered, from when it gets one of the slots of
    /// its connection. Whatever changes from now on is told.
    pub async fn subscribe(
        &self,
        prepared: PreparedRequest,
        renew: Renewal,
        timeout: Duration,
        slots: EventSlots,
    ) -> Result<ResponseStream, RequestError> {
        let (bound, topic) = self.open(prepared).await?;
        // Whoever looked first would miss what changes before the watch begins.
        let watch = self.hub().watch(topic.user_id());
        let begun = async { Subject::begin(topic, &renew().await?).await };
        let subject = begun.await.map_err(|error| {
            log(&error);
            GraphqlError::from(&error)
        })?;
        Ok(ResponseStream {
            graphql: self.clone(),
            bound,
            watch,
            subject,
            pending: VecDeque::new(),
            renew,
            timeout,
            slots,
            outage: None,
            is_over: false,
            _counted: Counted::new(),
        })
    }
}

impl ResponseStream {
    /// The answer to the next event; `None` when the subscription is complete. An error is about
    /// the subscriber's credentials; any other failure is an answer, and the last: the subscriber
    /// must know that something may have gone by. While what the answer depends on cannot be
    /// reached, it is tried again for a minute first.
    pub async fn next(&mut self) -> Option<Result<GraphqlResponse>> {
        while !self.is_over {
            if self.pending.is_empty()
                && self.outage.is_none()
                && self.watch.changed().await == Reason::Missed
            {
                sleep(SPREAD.mul_f64(rand::random())).await;
            }
            match self.turn().await {
                Ok(told) => {
                    self.outage = None;
                    if let Some(response) = told {
                        metrics::counter!(EVENTS).increment(1);
                        return Some(Ok(response));
                    }
                }
                Err(error) => {
                    if let Some(pause) = self.pause(&error) {
                        metrics::counter!(RETRIES).increment(1);
                        sleep(pause).await;
                        continue;
                    }
                    self.is_over = true;
                    if matches!(error, Error::Unauthenticated(_)) {
                        return Some(Err(error));
                    }
                    log(&error);
                    return Some(Ok(GraphqlResponse {
                        data: Some(Data::null()),
                        errors: vec![GraphqlError::from(&error)],
                    }));
                }
            }
        }
        None
    }

    /// Looks for what has happened, and answers the first of it, if there is anything.
    async fn turn(&mut self) -> Result<Option<GraphqlResponse>> {
        let (graphql, slots) = (self.graphql.clone(), self.slots.clone());
        let limit = self.timeout;
        // The timeout begins when the event has a slot.
        let answered = async { timeout(limit, self.look_and_tell()).await };
        let answered = graphql.events().run(&slots, answered).await;
        answered
            .map_err(Error::internal)?
            .unwrap_or_else(|elapsed| Err(Error::Timeout(Arc::new(elapsed))))
    }

    /// The backoff before a failed read is retried; `None` if it should not be.
    fn pause(&mut self, error: &Error) -> Option<Duration> {
        if !matches!(error, Error::Unavailable(_) | Error::Timeout(_)) {
            return None;
        }
        if matches!(self.subject, Subject::User(_)) {
            // By then they will be different.
            self.pending.clear();
        }
        let outage = self.outage.get_or_insert_with(Outage::begin);
        outage.pause()
    }

    async fn look_and_tell(&mut self) -> Result<Option<GraphqlResponse>> {
        let services = (self.renew)().await?;
        let Some(user) = self.subject.user(&services).await? else {
            self.is_over = true;
            return Ok(None);
        };
        if self.pending.is_empty() {
            self.pending = self.subject.look(user, &services).await?;
        }
        let Some(happening) = self.pending.front().cloned() else {
            return Ok(None);
        };
        let told = self.graphql.tell(&self.bound, happening, services).await;
        // Not before: it must not be lost if answering times out.
        self.pending.pop_front();
        Ok(Some(told))
    }
}

/// An outage of what a subscription reads.
#[derive(Debug)]
struct Outage {
    since: Instant,
    pause: Duration,
}

impl Outage {
    fn begin() -> Self {
        Self {
            since: Instant::now(),
            pause: PAUSES.0,
        }
    }

    /// The backoff before the next read, exponential and with jitter; `None` once the outage has lasted too
    /// long.
    fn pause(&mut self) -> Option<Duration> {
        if self.since.elapsed() >= OUTAGE {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSES.1);
        Some(pause.mul_f64(0.5 + rand::random::<f64>()))
    }
}

/// What a subscription is about, and what is known of it.
#[derive(Debug)]
enum Subject {
    User(UserId),
    Options {
        user_id: UserId,
        keys: Option<Vec<String>>,
        known: Hashes,
    },
}

/// Options by what tells them apart.
type Options = IndexMap<(SmolStr, OptionScope), UserOption>;

/// The hashes of options when last read. The options themselves may take megabytes for one user, and a
/// client may have many subscriptions.
type Hashes = IndexMap<(SmolStr, OptionScope), u64>;

impl Topic {
    const fn user_id(&self) -> UserId {
        match self {
            Self::User(user_id) | Self::UserOptions { user_id, .. } => *user_id,
        }
    }
}

impl Subject {
    /// Looks for the first time. What is found is no event.
    async fn begin(topic: Topic, services: &AuthorizedServices) -> Result<Self> {
        let mut subject = match topic {
            Topic::User(user_id) => Self::User(user_id),
            Topic::UserOptions { user_id, keys } => Self::Options {
                user_id,
                keys,
                known: Hashes::new(),
            },
        };
        let user = subject.user(services).await?.ok_or_else(|| {
            let message = "there is no such user, or the caller may not see them";
            Error::NotFound(message.to_owned())
        })?;
        subject.look(user, services).await?;
        Ok(subject)
    }

    /// The user whom it is about, unless there is none or the caller may not see them. What the
    /// caller may see but not read is an error.
    async fn user(&self, services: &AuthorizedServices) -> Result<Option<User>> {
        let id = match self {
            Self::User(user_id) => *user_id,
            Self::Options { user_id, .. } => {
                services.user_options().check_read(*user_id)?;
                *user_id
            }
        };
        let found = services.users().get_each(&[id]).await?.pop();
        let user = found.map(|(_, user)| user).transpose()?;
        Ok(user.map(User))
    }

    /// What has happened since the last look.
    async fn look(
        &mut self,
        user: User,
        services: &AuthorizedServices,
    ) -> Result<VecDeque<Happening>> {
        match self {
            Self::User(_) => Ok(VecDeque::from([Happening::User(user)])),
            Self::Options {
                user_id,
                keys,
                known,
            } => {
                let now = read(*user_id, keys.as_deref(), services).await?;
                let changes = differences(known, &now, *user_id);
                let hashes = now
                    .into_iter()
                    .map(|(place, option)| (place, hash(&option)));
                *known = hashes.collect();
                Ok(changes.into_iter().map(Happening::UserOption).collect())
            }
        }
    }
}

/// The options that are waited for, as they are now.
async fn read(
    user_id: UserId,
    keys: Option<&[String]>,
    services: &AuthorizedServices,
) -> Result<Options> {
    let found = services.user_options().get_all(user_id).await?.into_iter();
    let wanted =
        found.filter(|option| keys.is_none_or(|keys| keys.iter().any(|key| option.key == *key)));
    Ok(wanted
        .map(|option| ((option.key.clone(), option.scope), option))
        .collect())
}

/// What has become of options: those that were deleted, then those that were set, by id.
fn differences(before: &Hashes, now: &Options, user_id: UserId) -> Vec<UserOptionChange> {
    let change =
        |(key, scope): &(SmolStr, OptionScope), option: Option<&UserOption>| UserOptionChange {
            user_id,
            key: key.clone(),
            scope: *scope,
            option: option.cloned(),
        };
    let deleted = before
        .keys()
        .filter(|place| !now.contains_key(*place))
        .map(|place| change(place, None));
    let set = now
        .iter()
        .filter(|(place, option)| before.get(*place) != Some(&hash(option)))
        .map(|(place, option)| change(place, Some(option)));
    deleted.chain(set).collect()
}

/// A hash of the parts of an option that may change.
fn hash(option: &UserOption) -> u64 {
    let text = match &option.value {
        StoredValue::Json(value) => Some(value.as_str()),
        StoredValue::Unreadable => None,
    };
    FixedState::default().hash_one((option.id, text))
}

/// Counts a subscription for as long as it is there.
struct Counted;

impl Counted {
    fn new() -> Self {
        metrics::gauge!(OPEN).increment(1);
        Self
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        metrics::gauge!(OPEN).decrement(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{JsonText, UserOptionId};

    #[test]
    fn changed_options_are_reported() {
        let user_id = UserId(1);
        let option = |id: i64, key: &str, value: StoredValue| {
            let (key, scope) = (SmolStr::new(key), OptionScope::GLOBAL);
            let option = UserOption {
                id: UserOptionId(id),
                user_id,
                key: key.clone(),
                value,
                scope,
            };
            ((key, scope), option)
        };
        let json = |text: &str| StoredValue::Json(JsonText::parse(text).unwrap());
        let before = [
            option(1, "same", json("1")),
            option(2, "set", json("1")),
            option(3, "deleted", json("1")),
            option(4, "set anew", json("1")),
            option(6, "unreadable", StoredValue::Unreadable),
        ];
        let now = [
            option(1, "same", json("1")),
            option(2, "set", json("[1]")),
            option(5, "set anew", json("1")),
            option(6, "unreadable", json("null")),
            option(7, "new", json("1")),
        ];
        let known = before.map(|(place, option)| (place, hash(&option)));
        let told = differences(&Hashes::from(known), &Options::from(now), user_id);
        let told: Vec<_> = told.iter().map(|change| change.key.as_str()).collect();
        assert_eq!(told, ["deleted", "set", "set anew", "unreadable", "new"]);
    }
}
