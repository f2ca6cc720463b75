//! What can be changed.
//!
//! What a person filling in a form can get wrong comes back in the payload's `errors`; refusals,
//! limits and faults are errors of the response.

use async_graphql::MaybeUndefined;
use macros::object;

use super::budget::STATEMENT;
use super::context::RequestContext;
use super::error::{FieldError, FieldResult};
use super::id::GlobalId;
use super::input::{
    DeleteUserOptionsInput, GetOrCreateUserByEmailInput, SetUserOptionInput, UpdateUserInput,
    UserOptionScope, VerifyUserEmailInput, check_length,
};
use super::object::{User, UserOption};
use super::payload::{
    DeleteUserOptionsPayload, GetOrCreateUserByEmailPayload, SetUserOptionPayload,
    UpdateUserPayload, UserError, VerifyUserEmailPayload,
};
use crate::domain::{
    DisplayName, Email, Error, Invalid, InvalidCode, JsonText, NewUser, OptionKey,
    OptionScopeFilter, PictureUrl, Result, SetOption, UserId, UserOptionFilter, UserUpdate,
    Username,
};

/// The largest value of an option as JSON, in bytes.
const OPTION_VALUE_MAX_BYTES: usize = 64 * 1024;
/// The deepest nesting of an option's value.
const OPTION_VALUE_MAX_DEPTH: usize = 32;
/// The longest identity or referrer, in characters, as the columns of Sentry hold them.
const SHORT_TEXT_MAX_CHARS: usize = 128;

#[derive(Debug, Clone, Copy)]
pub(super) struct Mutation;

/// What can be changed.
#[object]
impl Mutation {
    /// The active user with this primary address, created if there is none. However many calls
    /// are made at once, one creates.
    async fn get_or_create_user_by_email(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Whose account is wanted.")] input: GetOrCreateUserByEmailInput,
    ) -> FieldResult<GetOrCreateUserByEmailPayload> {
        let outcome = async {
            request.budget.spend(STATEMENT).await;
            let short = |text: Option<String>, name| match text {
                Some(text) if text.chars().count() > SHORT_TEXT_MAX_CHARS => Err(Invalid::new(
                    InvalidCode::TooLong,
                    format!("the {name} has at most {SHORT_TEXT_MAX_CHARS} characters"),
                    &[name],
                )),
                text => Ok(text),
            };
            let new = NewUser {
                email: Email::parse(&input.email, &["email"])?,
                ident: short(input.ident, "ident")?,
                referrer: short(input.referrer, "referrer")?,
                idempotency_key: None,
            };
            request
                .services
                .users()
                .get_or_create_by_email(&new)
                .await
                .map_err(FieldError)
        };
        Ok(match form(request, outcome.await)? {
            Ok((user, created)) => GetOrCreateUserByEmailPayload {
                user: Some(User(user)),
                created,
                errors: Vec::new(),
            },
            Err(errors) => GetOrCreateUserByEmailPayload {
                user: None,
                created: false,
                errors,
            },
        })
    }

    /// Sets an option of a user. An equal value changes nothing.
    async fn set_user_option(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Which option, and to what.")] input: SetUserOptionInput,
    ) -> FieldResult<SetUserOptionPayload> {
        let outcome = async {
            request.budget.spend(STATEMENT).await;
            let value = match input.value {
                MaybeUndefined::Value(value) => value,
                MaybeUndefined::Null => JsonText::NULL,
                MaybeUndefined::Undefined => {
                    return Err(FieldError::from(Invalid::new(
                        InvalidCode::Required,
                        "an option needs a value; null is one",
                        &["value"],
                    )));
                }
            };
            check_value(&value)?;
            let option = SetOption {
                user_id: GlobalId::parse(&input.user_id, &["userId"])?,
                key: OptionKey::parse(&input.key, &["key"])?,
                value,
                scope: UserOptionScope::parse(input.scope, &["scope"])?,
            };
            Ok(request.services.user_options().set_option(&option).await?)
        };
        Ok(match form(request, outcome.await)? {
            Ok(result) => SetUserOptionPayload {
                option: Some(UserOption(result.option)),
                changed: result.changed,
                errors: Vec::new(),
            },
            Err(errors) => SetUserOptionPayload {
                option: None,
                changed: false,
                errors,
            },
        })
    }

    /// Deletes options of a user. Those that do not exist are passed over.
    async fn delete_user_options(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Which options.")] input: DeleteUserOptionsInput,
    ) -> FieldResult<DeleteUserOptionsPayload> {
        let outcome = async {
            request.budget.spend(STATEMENT).await;
            check_length(input.keys.len(), &request.limits, &["keys"])?;
            let scope = UserOptionScope::parse(input.scope, &["scope"])?;
            let filter = UserOptionFilter {
                user_ids: vec![GlobalId::parse(&input.user_id, &["userId"])?],
                keys: Some(input.keys),
                scope: OptionScopeFilter::Exactly(scope),
            };
            Ok(request
                .services
                .user_options()
                .delete_options(&filter)
                .await?)
        };
        Ok(match form(request, outcome.await)? {
            Ok(ids) => DeleteUserOptionsPayload {
                deleted_ids: ids.iter().map(GlobalId::to_global).collect(),
                errors: Vec::new(),
            },
            Err(errors) => DeleteUserOptionsPayload {
                deleted_ids: Vec::new(),
                errors,
            },
        })
    }

    /// Changes a user. Users may change their own name, username and picture; superusers and
    /// services with the scope `user:write` everything of everybody.
    async fn update_user(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Whom to change, and how.")] input: UpdateUserInput,
    ) -> FieldResult<UpdateUserPayload> {
        let outcome = async {
            request.budget.spend(STATEMENT).await;
            let id: UserId = GlobalId::parse(&input.user_id, &["userId"])?;
            let name = input.name.map(|name| DisplayName::parse(&name, &["name"]));
            let username = input
                .username
                .map(|name| Username::parse(&name, &["username"]));
            let avatar_url = match input.avatar_url {
                MaybeUndefined::Undefined => None,
                MaybeUndefined::Null => Some(None),
                MaybeUndefined::Value(url) => Some(Some(PictureUrl::parse(&url, &["avatarUrl"])?)),
            };
            let update = UserUpdate {
                name: name.transpose()?,
                username: username.transpose()?,
                is_active: input.is_active,
                avatar_type: None,
                avatar_url,
            };
            let user = request.services.users().update_user(id, &update).await?;
            Ok(user.ok_or_else(|| no_such_user(id))?)
        };
        Ok(match form(request, outcome.await)? {
            Ok(user) => UpdateUserPayload {
                user: Some(User(user)),
                errors: Vec::new(),
            },
            Err(errors) => UpdateUserPayload { user: None, errors },
        })
    }

    /// Marks an address of a user as verified.
    async fn verify_user_email(
        &self,
        request: &RequestContext,
        #[graphql(desc = "Which address.")] input: VerifyUserEmailInput,
    ) -> FieldResult<VerifyUserEmailPayload> {
        let outcome = async {
            request.budget.spend(STATEMENT).await;
            let id: UserId = GlobalId::parse(&input.user_id, &["userId"])?;
            Email::parse(&input.email, &["email"])?;
            Ok(request
                .services
                .users()
                .verify_user_email(id, &input.email)
                .await?)
        };
        Ok(match form(request, outcome.await)? {
            Ok(changed) => VerifyUserEmailPayload {
                changed,
                errors: Vec::new(),
            },
            Err(errors) => VerifyUserEmailPayload {
                changed: false,
                errors,
            },
        })
    }
}

fn no_such_user(id: UserId) -> Invalid {
    Invalid::new(
        InvalidCode::NotFound,
        format!("there is no user with the id {id}"),
        &["userId"],
    )
}

fn check_value(value: &JsonText) -> Result<()> {
    let too_long = |message| Err(Invalid::new(InvalidCode::TooLong, message, &["value"]).into());
    if value.depth() > OPTION_VALUE_MAX_DEPTH {
        return too_long(format!(
            "the value of an option nests at most {OPTION_VALUE_MAX_DEPTH} levels"
        ));
    }
    if value.as_str().len() > OPTION_VALUE_MAX_BYTES {
        return too_long(format!(
            "the value of an option has at most {OPTION_VALUE_MAX_BYTES} bytes as JSON"
        ));
    }
    Ok(())
}

/// Takes what a form's user can mend out of the outcome of a mutation.
fn form<T>(
    request: &RequestContext,
    outcome: FieldResult<T>,
) -> FieldResult<Result<T, Vec<UserError>>> {
    request.forget();
    match outcome {
        Ok(value) => Ok(Ok(value)),
        Err(FieldError(Error::Invalid(invalid))) => Ok(Err(vec![UserError::from(invalid)])),
        Err(error) => Err(error),
    }
}
