//! Where records come from when no copy answers.

use std::collections::HashMap;
use std::sync::Arc;

use super::record::{Part, Record, Records};
use crate::domain::{Result, User, UserId};
use crate::service::{UserOptionService, UserService};

/// The services behind the cache.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) users: Arc<dyn UserService>,
    pub(super) user_options: Arc<dyn UserOptionService>,
}

impl Source {
    /// A part of each of these users, or why they cannot be asked for; see [`Source::fetch`].
    /// Nobody is asked about nobody.
    pub(super) async fn fetch_each(&self, part: Part, ids: &[UserId]) -> Records {
        if ids.is_empty() {
            return Records::new();
        }
        match self.fetch(part, ids).await {
            Ok(records) => records.into_iter().map(|(id, r)| (id, Ok(r))).collect(),
            Err(error) => ids.iter().map(|id| (*id, Err(error.clone()))).collect(),
        }
    }

    /// A part of each of these users, in their order and in one call.
    pub(super) async fn fetch(&self, part: Part, ids: &[UserId]) -> Result<Vec<(UserId, Record)>> {
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
                let mut found: HashMap<UserId, Vec<_>> = HashMap::with_capacity(ids.len());
                for option in self.user_options.get_all(ids).await? {
                    found.entry(option.user_id).or_default().push(option);
                }
                let records = ids.iter().map(|id| {
                    let options = found.remove(id).unwrap_or_default();
                    (*id, Record::Options(options.into()))
                });
                Ok(records.collect())
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
