//! Options as one caller may see and change them.

use super::Bound;
use super::access::{PrivateFields, lacking, private_fields};
use super::caller::Caller;
use super::scope::Capability;
use crate::domain::{
    Error, Result, SetOption, SetOptionResult, UserId, UserOption, UserOptionFilter, UserOptionId,
};
use crate::service::UserOptionService;

/// The user option service bound to a caller. Options are private: whether a user whose options
/// the caller may not read exists makes no difference to the answer.
#[derive(Debug, Clone, Copy)]
pub struct AuthorizedUserOptionService<'a>(pub(super) &'a Bound);

impl<'a> AuthorizedUserOptionService<'a> {
    fn inner(self) -> &'a dyn UserOptionService {
        &*self.0.services.user_options
    }

    fn caller(self) -> &'a Caller {
        &self.0.caller
    }

    /// The options of a filter, if the caller may read those of all its users.
    pub async fn get_many(self, filter: &UserOptionFilter) -> Result<Vec<UserOption>> {
        for id in &filter.user_ids {
            self.check_read(*id)?;
        }
        self.inner().get_many(filter).await
    }

    /// Every option of a user, whatever its scope, if the caller may read them.
    pub async fn get_all(self, id: UserId) -> Result<Vec<UserOption>> {
        self.check_read(id)?;
        self.inner().get_all(&[id]).await
    }

    /// Those of these options that exist and that the caller may read.
    pub async fn get_many_by_id(self, ids: &[UserOptionId]) -> Result<Vec<UserOption>> {
        let mut options = self.inner().get_many_by_id(ids).await?;
        options.retain(|option| self.check_read(option.user_id).is_ok());
        Ok(options)
    }

    /// Sets an option.
    pub async fn set_option(self, option: &SetOption) -> Result<SetOptionResult> {
        self.check_write(option.user_id)?;
        self.inner().set_option(option).await
    }

    /// Deletes the options of a filter and returns the ids that were deleted.
    pub async fn delete_options(self, filter: &UserOptionFilter) -> Result<Vec<UserOptionId>> {
        for id in &filter.user_ids {
            self.check_write(*id)?;
        }
        let mut deleted = Vec::new();
        loop {
            let options = self.inner().get_many(filter).await?;
            let ids: Vec<UserOptionId> = options.into_iter().map(|option| option.id).collect();
            if ids.is_empty() {
                deleted.sort_unstable();
                return Ok(deleted);
            }
            // Old installations may hold an option several times, of which only the newest is
            // seen; the next one must not come to light instead.
            deleted.extend(self.inner().delete_options(&ids).await?);
        }
    }

    /// Whether the caller may read the options of a user.
    pub fn check_read(self, id: UserId) -> Result<()> {
        match private_fields(self.caller(), id) {
            PrivateFields::Readable => Ok(()),
            PrivateFields::Withheld => Err(Error::Forbidden(
                "options are private to the user, to staff and to services with the scope \
                 `user:admin`"
                    .to_owned(),
            )),
        }
    }

    fn check_write(self, id: UserId) -> Result<()> {
        let own = self.caller().is(id) && self.caller().scopes().allow(Capability::Write);
        if own || self.caller().may_for_everybody(Capability::Write) {
            return Ok(());
        }
        Err(lacking(
            self.caller(),
            "these options cannot be changed",
            Capability::Write,
        ))
    }
}
