//! How rows become the directory's nouns.

use entity::{organization_mapping, user};
use sea_orm::sea_query::{Expr, ExprTrait, Func};
use sea_orm::{EntityTrait, QuerySelect, Select};

use super::facts::Facts;
use super::statement::Columns;
use crate::domain::{
    JsonText, Organization, OrganizationBrief, OrganizationFlags, OrganizationId,
    OrganizationStatus, Result, Secret, StoredValue, UserBrief, UserFlags, UserId, UserProfile,
};

/// What account rows are read as.
pub(super) trait Account: Clone + Send + Sync + 'static {
    /// The columns of it, which [`Account::read`] reads.
    fn select() -> Select<user::Entity>;

    /// Reads the columns of [`Account::select`].
    fn read(columns: &mut Columns<'_>) -> Result<Self>;

    fn id(&self) -> UserId;

    fn is_active(&self) -> bool;
}

impl Account for UserProfile {
    /// Nullable columns that a profile has no null for get its default; the password stays in the
    /// database.
    fn select() -> Select<user::Entity> {
        use user::Column as C;
        let is = |column| Expr::col((user::Entity, column));
        let newsletter = || number(UserFlags::NEWSLETTER_CONSENT_PROMPT);
        let facts = [
            is(C::IsActive),
            is(C::IsSuperuser),
            is(C::IsStaff),
            is(C::IsUnclaimed),
            is(C::IsSentryApp),
            password_usable(),
            is(C::IsPasswordExpired),
            is(C::Flags).bit_and(newsletter()).eq(newsletter()),
        ];
        user::Entity::find()
            .select_only()
            .columns([C::Id, C::Username])
            .column_as(name(), "name")
            .column(C::Email)
            .column_as(bits(facts), "facts")
            .columns([C::DateJoined, C::LastActive, C::AvatarUrl, C::SessionNonce])
    }

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        let (id, username, name) = (columns.take()?, columns.text()?, columns.text()?);
        let email = columns.text()?;
        let mut facts = Bits(columns.take()?);
        Ok(Self {
            id: UserId(id),
            username,
            name,
            email,
            is_active: facts.next(),
            is_superuser: facts.next(),
            is_staff: facts.next(),
            is_unclaimed: facts.next(),
            is_sentry_app: facts.next(),
            password_usable: facts.next(),
            is_password_expired: facts.next(),
            flags: Some(UserFlags {
                newsletter_consent_prompt: facts.next(),
            }),
            date_joined: columns.take()?,
            last_active: columns.take()?,
            avatar_url: columns.nullable_text()?,
            session_nonce: columns.nullable_text()?.map(Secret::new),
        })
    }

    fn id(&self) -> UserId {
        self.id
    }

    fn is_active(&self) -> bool {
        self.is_active
    }
}

impl Account for UserBrief {
    fn select() -> Select<user::Entity> {
        use user::Column as C;
        let is = |column| Expr::col((user::Entity, column));
        let facts = [
            is(C::IsActive),
            is(C::IsSuperuser),
            is(C::IsStaff),
            is(C::IsUnclaimed),
            is(C::IsSentryApp),
        ];
        let nothing = || Expr::cust("''");
        let email_for_name: Expr = Expr::case(name().eq(nothing()), is(C::Email))
            .finally(nothing())
            .into();
        user::Entity::find()
            .select_only()
            .columns([C::Id, C::Username])
            .column_as(name(), "name")
            .column_as(email_for_name, "email_for_name")
            .column_as(bits(facts), "facts")
    }

    fn read(columns: &mut Columns<'_>) -> Result<Self> {
        let (id, username, name) = (columns.take()?, columns.text()?, columns.text()?);
        let email_for_name = columns.text()?;
        let mut facts = Bits(columns.take()?);
        Ok(Self {
            id: UserId(id),
            username,
            name,
            email_for_name,
            is_active: facts.next(),
            is_superuser: facts.next(),
            is_staff: facts.next(),
            is_unclaimed: facts.next(),
            is_sentry_app: facts.next(),
        })
    }

    fn id(&self) -> UserId {
        self.id
    }

    fn is_active(&self) -> bool {
        self.is_active
    }
}

/// One number for several conditions, the first in its lowest bit: a column costs more than a bit
/// on its way. What is null does not hold.
fn bits<const N: usize>(conditions: [Expr; N]) -> Expr {
    let mut place = 1;
    let mut sum = number(0);
    for condition in conditions {
        sum = sum.add(Expr::case(condition, number(place)).finally(number(0)));
        place *= 2;
    }
    sum
}

/// A number that is the same in every use of a statement.
fn number(number: i64) -> Expr {
    Expr::cust(number.to_string())
}

/// What [`bits`] has put together.
struct Bits(i32);

impl Bits {
    /// The next condition.
    fn next(&mut self) -> bool {
        let holds = self.0 & 1 == 1;
        self.0 >>= 1;
        holds
    }
}

/// The display name; null is none.
pub(super) fn name() -> Expr {
    let name = Expr::col((user::Entity, user::Column::Name));
    Func::coalesce([name, Expr::cust("''")]).into()
}

fn password_usable() -> Expr {
    let password = || Expr::col((user::Entity, user::Column::Password));
    password().ne("").and(password().not_like("!%"))
}

/// Whether an account is suspended; on tables from before there was such a thing, none is.
pub(super) fn is_suspended(facts: &Facts) -> Expr {
    if facts.has_is_suspended {
        Expr::col((user::Entity, user::Column::IsSuspended))
    } else {
        Expr::val(false)
    }
}

/// Selects the columns of [`OrganizationBrief`], which [`organization_brief`] reads.
pub(super) fn select_organization_brief<E: EntityTrait>(select: Select<E>) -> Select<E> {
    use organization_mapping::Column as C;
    select.columns([C::OrganizationId, C::Slug, C::Name])
}

/// Reads the columns of [`select_organization_brief`].
pub(super) fn organization_brief(columns: &mut Columns<'_>) -> Result<OrganizationBrief> {
    Ok(OrganizationBrief {
        id: OrganizationId(columns.take()?),
        slug: columns.text()?,
        name: columns.text()?,
    })
}

/// Selects the columns of [`Organization`], which [`organization`] reads.
pub(super) fn select_organization<E: EntityTrait>(select: Select<E>) -> Select<E> {
    use organization_mapping::Column as C;
    let is = |column| Expr::col((organization_mapping::Entity, column));
    let flags = [
        is(C::EarlyAdopter),
        is(C::Require2fa),
        is(C::AllowJoinleave),
        is(C::EnhancedPrivacy),
        is(C::DisableSharedIssues),
        is(C::DisableNewVisibilityFeatures),
        is(C::DisableMemberProjectCreation),
        is(C::PreventSuperuserAccess),
        is(C::DisableMemberInvite),
    ];
    select
        .columns([
            C::OrganizationId,
            C::Slug,
            C::Name,
            C::RegionName,
            C::DateCreated,
            C::CustomerId,
            C::Status,
        ])
        .column_as(bits(flags), "flags")
}

/// Reads the columns of [`select_organization`].
pub(super) fn organization(columns: &mut Columns<'_>) -> Result<Organization> {
    Ok(Organization {
        id: OrganizationId(columns.take()?),
        slug: columns.text()?,
        name: columns.text()?,
        region_name: columns.text()?,
        date_created: columns.take()?,
        customer_id: columns.nullable_text()?,
        status: {
            let status: Option<i64> = columns.take()?;
            status.map(OrganizationStatus::from_stored)
        },
        flags: {
            let mut flags = Bits(columns.take()?);
            OrganizationFlags {
                early_adopter: flags.next(),
                require_2fa: flags.next(),
                allow_joinleave: flags.next(),
                enhanced_privacy: flags.next(),
                disable_shared_issues: flags.next(),
                disable_new_visibility_features: flags.next(),
                disable_member_project_creation: flags.next(),
                prevent_superuser_access: flags.next(),
                disable_member_invite: flags.next(),
            }
        },
    })
}

/// A stored JSON text. SQL's null and JSON's are the same to a reader.
pub(super) fn stored_value(text: Option<&str>) -> StoredValue {
    match text.map(JsonText::parse) {
        None => StoredValue::Json(JsonText::NULL),
        Some(Some(value)) => StoredValue::Json(value),
        Some(None) => StoredValue::Unreadable,
    }
}
