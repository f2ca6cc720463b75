//! What can be waited for.
//!
//! The engine meets each of these fields in two stages. When a client subscribes, the resolver
//! reads the arguments and says what they mean; whoever drives the subscription then waits. For
//! every event the field is resolved once more, with loaders and services of its own, so that
//! what is selected beneath it is as fresh as an answer to a query.

use std::sync::{Arc, Mutex, PoisonError};

use async_graphql::{Context, ID, Subscription};
use futures_util::stream;

use super::error::{FieldError, FieldResult};
use super::id::GlobalId;
use super::input::check_length;
use super::object::{User, UserOptionChange};
use crate::config::Limits;
use crate::domain::{Error, UserId};

/// What a subscription waits for, as its arguments say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Topic {
    /// Changes of a user.
    User(UserId),
    /// Changes of a user's options, with one of these keys if given.
    UserOptions {
        user_id: UserId,
        keys: Option<Vec<String>>,
    },
}

/// Something that has happened.
#[derive(Debug, Clone)]
pub(super) enum Happening {
    /// The user as they are now.
    User(User),
    /// An option that was set or deleted.
    UserOption(UserOptionChange),
}

/// What the engine is to do with the field.
#[derive(Debug)]
pub(super) enum Stage {
    /// To say what it waits for.
    Opening {
        topic: Mutex<Option<Topic>>,
        limits: Limits,
    },
    /// To tell of this.
    Event(Happening),
}

impl Stage {
    pub(super) const fn opening(limits: Limits) -> Self {
        Self::Opening {
            topic: Mutex::new(None),
            limits,
        }
    }

    /// What the field waits for, once the resolver has said it.
    pub(super) fn topic(&self) -> Option<Topic> {
        match self {
            Self::Opening { topic, .. } => {
                topic.lock().unwrap_or_else(PoisonError::into_inner).take()
            }
            Self::Event(_) => None,
        }
    }
}

/// One event, or none while the field only says what it waits for.
type Events<T> = stream::Iter<std::option::IntoIter<T>>;

#[derive(Debug, Clone, Copy)]
pub(super) struct Subscription;

/// What can be waited for. Several changes may come as one event, and an event may come twice. A
/// user who does not exist or whom the caller may not see is an error of the code `NOT_FOUND`; a
/// subscription completes once that becomes so.
#[Subscription]
impl Subscription {
    /// The user, each time they or anything that belongs to them (addresses, options and so on)
    /// may have changed, as they are then. There is no event for how they are at first.
    async fn user_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a user, `User:1` or `1`.")] id: ID,
    ) -> FieldResult<Events<User>> {
        let id = UserId::parse(&id, &["id"])?;
        staged(
            ctx,
            |_| Ok(Topic::User(id)),
            |happening| match happening {
                Happening::User(user) => Some(user.clone()),
                Happening::UserOption(_) => None,
            },
        )
    }

    /// An option of the user, of whatever scope, each time it was set to something else or
    /// deleted. Private, as options are: who may not read them gets an error of the code
    /// `FORBIDDEN`.
    async fn user_option_changed(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The id of a user, `User:1` or `1`.")] user_id: ID,
        #[graphql(desc = "Only options with one of these keys. Without this every key.")]
        keys: Option<Vec<String>>,
    ) -> FieldResult<Events<UserOptionChange>> {
        let user_id = UserId::parse(&user_id, &["userId"])?;
        let open = |limits: &Limits| {
            check_length(keys.as_ref().map_or(0, Vec::len), limits, &["keys"])?;
            Ok(Topic::UserOptions { user_id, keys })
        };
        staged(ctx, open, |happening| match happening {
            Happening::UserOption(change) => Some(change.clone()),
            Happening::User(_) => None,
        })
    }
}

/// Says what the field waits for, or tells of the event, as the stage wants it.
fn staged<T>(
    ctx: &Context<'_>,
    open: impl FnOnce(&Limits) -> FieldResult<Topic>,
    tell: impl FnOnce(&Happening) -> Option<T>,
) -> FieldResult<Events<T>> {
    let stray = || FieldError(Error::internal("a subscription ran in no stage of its own"));
    let event = match ctx.data_opt::<Arc<Stage>>().ok_or_else(stray)?.as_ref() {
        Stage::Opening { topic, limits } => {
            let opened = open(limits)?;
            *topic.lock().unwrap_or_else(PoisonError::into_inner) = Some(opened);
            None
        }
        Stage::Event(happening) => Some(tell(happening).ok_or_else(stray)?),
    };
    Ok(stream::iter(event))
}
