//! The look-ups of users and of what belongs to them whose texts are kept.

use std::sync::Arc;

use entity::{organization_member_mapping, user, user_avatar, user_email};
use sea_orm::sea_query::{Expr, ExprTrait};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};
use smol_str::SmolStr;

use super::super::dialect::Kind;
use super::super::rows::Account;
use super::super::shared::Shared;
use super::super::statement::{Columns, Prepared, Shelf};
use super::search::{FAR, FEW};
use crate::domain::{
    Avatar, AvatarKind, Result, UserBrief, UserEmail, UserEmailId, UserId, UserProfile,
};

/// One statement a kind of look-up.
#[derive(Debug)]
pub(in super::super) struct Lookups {
    /// The users with the ids `$1`, by id.
    pub(super) profiles: Arc<Shared<UserProfile>>,
    /// The same in brief.
    pub(super) briefs: Arc<Shared<UserBrief>>,
    /// The active users with the primary address `$1`, ignoring case, by id.
    pub(super) active_by_email: Prepared<UserProfile>,
    /// Those of the texts `$1` that are usernames.
    pub(super) usernames: Prepared<SmolStr>,
    /// For each of these numbers, a row if organization `$1` has more memberships.
    pub(super) more_members: [(u64, Prepared<i64>); 2],
    /// The addresses of the users `$1`, by user and id.
    pub(super) emails: Arc<Shared<(UserId, UserEmail)>>,
    /// The pictures of the users `$1`, by user.
    pub(super) avatars: Arc<Shared<(UserId, Avatar)>>,
}

impl Lookups {
    pub(in super::super) fn new(shelf: &Shelf<'_>) -> Self {
        let dialect = shelf.dialect;
        let ids = || dialect.parameter(1, Kind::Ids);
        let email = dialect.parameter(1, Kind::Text);
        let active_by_email = UserProfile::select()
            .filter(dialect.equals_folded((user::Entity, user::Column::Email), email))
            .filter(user::Column::IsActive.eq(true))
            .order_by_asc(user::Column::Id);
        let texts = dialect.parameter(1, Kind::Texts);
        let usernames = user::Entity::find()
            .select_only()
            .column(user::Column::Username)
            .filter(dialect.any(user::Column::Username, texts));
        let more_members = [FEW, FAR].map(|number| {
            use organization_member_mapping::{Column as C, Entity};
            let more = Entity::find()
                .select_only()
                .column(C::UserId)
                .filter(Expr::col(C::OrganizationId).eq(dialect.parameter(1, Kind::Id)))
                .filter(C::UserId.is_not_null())
                .offset(number)
                .limit(1);
            (number, shelf.keep(&more, member))
        });
        let emails = {
            use user_email::{Column as C, Entity};
            Entity::find()
                .select_only()
                .columns([C::UserId, C::Id, C::Email, C::IsVerified])
                .filter(dialect.any(C::UserId, ids()))
                .order_by_asc(C::UserId)
                .order_by_asc(C::Id)
        };
        let avatars = {
            use user_avatar::{Column as C, Entity};
            Entity::find()
                .select_only()
                .columns([C::UserId, C::Id, C::ControlFileId, C::Ident, C::AvatarType])
                .filter(dialect.any(C::UserId, ids()))
                .order_by_asc(C::UserId)
        };
        Self {
            profiles: accounts_by_id(shelf),
            briefs: accounts_by_id(shelf),
            active_by_email: shelf.keep(&active_by_email, UserProfile::read),
            usernames: shelf.keep(&usernames, username),
            more_members,
            emails: Shared::new(shelf.keep(&emails, email_of), |(user, _)| user.0),
            avatars: Shared::new(shelf.keep(&avatars, avatar_of), |(user, _)| user.0),
        }
    }
}

/// The accounts with the ids `$1`, by id.
fn accounts_by_id<T: Account>(shelf: &Shelf<'_>) -> Arc<Shared<T>> {
    let ids = shelf.dialect.parameter(1, Kind::Ids);
    let select = T::select()
        .filter(shelf.dialect.any((user::Entity, user::Column::Id), ids))
        .order_by_asc(user::Column::Id);
    Shared::new(shelf.keep(&select, T::read), |account: &T| account.id().0)
}

fn username(columns: &mut Columns<'_>) -> Result<SmolStr> {
    columns.text()
}

fn member(columns: &mut Columns<'_>) -> Result<i64> {
    columns.take()
}

fn email_of(columns: &mut Columns<'_>) -> Result<(UserId, UserEmail)> {
    let user = UserId(columns.take()?);
    let email = UserEmail {
        id: UserEmailId(columns.take()?),
        email: columns.take()?,
        is_verified: columns.take()?,
    };
    Ok((user, email))
}

fn avatar_of(columns: &mut Columns<'_>) -> Result<(UserId, Avatar)> {
    let user = UserId(columns.take()?);
    let avatar = Avatar {
        id: columns.take()?,
        file_id: columns.take()?,
        ident: columns.take()?,
        kind: AvatarKind::from_stored(columns.take()?),
    };
    Ok((user, avatar))
}
