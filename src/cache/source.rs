//! Where records come from when no copy answers.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::{Part, Record};
use crate::domain::{Result, User, UserId};
use crate::service::{UserOptionService, UserService};

/// The services behind the cache.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) users: Arc<dyn UserService>,
    pub(super) user_options: Arc<dyn UserOptionService>,
}

impl Source {
    /// A part of each of these users, in one call.
    pub(super) async fn fetch(
        &self,
        part: Part,
        ids: &[UserId],
    ) -> Result<HashMap<UserId, Record>> {
        match part {
            Part::User => {
                let users = self.users.get_many_by_id(ids).await?;
                let mut found: HashMap<_, _> = users
                    .into_iter()
                    .map(|user| (user.profile.id, Arc::new(without_secrets(user))))
                    .collect();
                Ok(ids
                    .iter()
                    .map(|id| (*id, Record::User(found.remove(id))))
                    .collect())
            }
            Part::Profile => {
                let profiles = self.users.get_profiles(ids).await?.into_iter();
                let mut found: HashMap<_, _> = profiles
                    .map(|profile| (profile.id, Arc::new(profile)))
                    .collect();
                Ok(ids
                    .iter()
                    .map(|id| (*id, Record::Profile(found.remove(id))))
                    .collect())
            }
            Part::Options => {
                let mut found: HashMap<UserId, Vec<_>> =
                    ids.iter().map(|id| (*id, Vec::new())).collect();
                for option in self.user_options.get_all(ids).await? {
                    if let Some(options) = found.get_mut(&option.user_id) {
                        options.push(option);
                    }
                }
                let records = found.into_iter();
                Ok(records
                    .map(|(id, options)| (id, Record::Options(options.into())))
                    .collect())
            }
        }
    }
}

/// The user as it is kept: a copy is no place for secrets, and what a copy lacks must not be there
/// on the first look either.
fn without_secrets(mut user: User) -> User {
    for authenticator in &mut user.authenticators {
        authenticator.config = None;
    }
    user
}
