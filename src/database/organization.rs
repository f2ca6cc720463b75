//! The organization service over the control silo's mappings.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use entity::{organization_mapping, organization_member_mapping, user};
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Func, Order, Query, WindowStatement};
use sea_orm::{
    ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, RelationTrait,
    Select,
};

use super::Database;
use super::dialect::Kind;
use super::rows::{
    Account, organization, organization_brief, select_organization, select_organization_brief,
};
use super::shared::Shared;
use super::statement::{Columns, Parameter, Prepared, Shelf, fetch, numbers};
use super::user::colleagues;
use crate::domain::{
    Membership, Organization, OrganizationBrief, OrganizationId, OrganizationMember,
    OrganizationStatus, OrganizationVisibility, Page, PageEnd, PageRequest, Result, UserId,
    UserProfile,
};
use crate::service::OrganizationService;

/// An invitation that has been accepted, or was never needed.
const APPROVED: i16 = 0;

/// [`OrganizationService`] answered by the database.
#[derive(Debug)]
pub(super) struct DatabaseOrganizationService {
    database: Database,
}

impl DatabaseOrganizationService {
    pub(super) fn new(database: Database) -> Self {
        Self { database }
    }
}

/// That a mapping row stands for somebody who is in, rather than invited or asking. Old rows
/// have no status and are in.
pub(super) fn is_joined() -> Cond {
    let status = || {
        Expr::col((
            organization_member_mapping::Entity,
            organization_member_mapping::Column::InviteStatus,
        ))
    };
    Cond::any()
        .add(status().eq(APPROVED))
        .add(status().is_null())
}

type BriefMembership = Membership<OrganizationBrief>;

/// One statement a kind of look-up.
#[derive(Debug)]
pub(super) struct Lookups {
    /// The organizations of the users `$1`, by user and organization.
    memberships: Arc<Shared<Membership>>,
    /// Those of them that are in use.
    visible_memberships: Arc<Shared<Membership>>,
    /// Both in brief.
    brief_memberships: Arc<Shared<BriefMembership>>,
    visible_brief_memberships: Arc<Shared<BriefMembership>>,
    /// The organizations with the ids `$1`, by id.
    by_id: Arc<Shared<Organization>>,
    /// Those of the users `$1` who share an organization with the user `$2`.
    colleagues: Prepared<UserId>,
    /// The organizations that the user `$1` has joined, by id.
    joined: Prepared<OrganizationId>,
}

impl Lookups {
    pub(super) fn new(shelf: &Shelf<'_>) -> Self {
        use organization_member_mapping::{Column as C, Entity, Relation};
        let dialect = shelf.dialect;
        let ids = || dialect.parameter(1, Kind::Ids);
        let users = || Entity::find().select_only().distinct().column(C::UserId);
        let of_users = |select: Select<Entity>| {
            select
                .join(sea_orm::JoinType::InnerJoin, Relation::Organization.def())
                .filter(dialect.any((Entity, C::UserId), ids()))
                .order_by_asc(C::UserId)
                .order_by_asc(organization_mapping::Column::OrganizationId)
        };
        let visible = |select: &Select<Entity>| {
            let active = OrganizationStatus::Active.stored();
            let is_active = organization_mapping::Column::Status.eq(active);
            select.clone().filter(is_active)
        };
        let memberships = of_users(select_organization(users()));
        let briefs = of_users(select_organization_brief(users()));
        let by_id = select_organization(organization_mapping::Entity::find().select_only())
            .filter(dialect.any(organization_mapping::Column::OrganizationId, ids()))
            .order_by_asc(organization_mapping::Column::OrganizationId);
        let me = dialect.parameter(2, Kind::Id);
        let colleagues = Entity::find()
            .select_only()
            .distinct()
            .column(C::UserId)
            .filter(dialect.any(C::UserId, ids()))
            .filter(C::UserId.in_subquery(colleagues(me)));
        let me = dialect.parameter(1, Kind::Id);
        let joined = Entity::find()
            .select_only()
            .distinct()
            .column(C::OrganizationId)
            .filter(Expr::col(C::UserId).eq(me))
            .filter(is_joined())
            .order_by_asc(C::OrganizationId);
        Self {
            memberships: by_user(shelf.keep(&memberships, membership)),
            visible_memberships: by_user(shelf.keep(&visible(&memberships), membership)),
            brief_memberships: by_user(shelf.keep(&briefs, brief_membership)),
            visible_brief_memberships: by_user(shelf.keep(&visible(&briefs), brief_membership)),
            by_id: Shared::new(shelf.keep(&by_id, organization), |found| found.id.0),
            colleagues: shelf.keep(&colleagues, |columns| Ok(UserId(columns.take()?))),
            joined: shelf.keep(&joined, |columns| Ok(OrganizationId(columns.take()?))),
        }
    }
}

fn by_user<O: Clone + Send + Sync + 'static>(
    lookup: Prepared<Membership<O>>,
) -> Arc<Shared<Membership<O>>> {
    Shared::new(lookup, |found| found.user_id.0)
}

fn brief_membership(columns: &mut Columns<'_>) -> Result<BriefMembership> {
    Ok(Membership {
        user_id: UserId(columns.take()?),
        organization: organization_brief(columns)?,
    })
}

fn membership(columns: &mut Columns<'_>) -> Result<Membership> {
    Ok(Membership {
        user_id: UserId(columns.take()?),
        organization: organization(columns)?,
    })
}

fn member(columns: &mut Columns<'_>) -> Result<(i64, OrganizationMember)> {
    let user = UserProfile::read(columns)?;
    let organization = columns.take()?;
    let member = OrganizationMember {
        user,
        role: columns.take()?,
        date_added: columns.take()?,
    };
    Ok((organization, member))
}

#[async_trait]
impl OrganizationService for DatabaseOrganizationService {
    async fn get_memberships(
        &self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
    ) -> Result<Vec<Membership>> {
        let lookups = &self.database.lookups().organizations;
        let memberships = match visibility {
            OrganizationVisibility::Any => &lookups.memberships,
            OrganizationVisibility::OnlyVisible => &lookups.visible_memberships,
        };
        let ids = numbers(user_ids);
        self.database.look_up(memberships, &ids).await
    }

    async fn get_brief_memberships(
        &self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
    ) -> Result<Vec<BriefMembership>> {
        let lookups = &self.database.lookups().organizations;
        let memberships = match visibility {
            OrganizationVisibility::Any => &lookups.brief_memberships,
            OrganizationVisibility::OnlyVisible => &lookups.visible_brief_memberships,
        };
        let ids = numbers(user_ids);
        self.database.look_up(memberships, &ids).await
    }

    async fn get_many_by_id(&self, ids: &[OrganizationId]) -> Result<Vec<Organization>> {
        let by_id = &self.database.lookups().organizations.by_id;
        let ids: Vec<i64> = ids.iter().map(|id| id.0).collect();
        self.database.look_up(by_id, &ids).await
    }

    async fn get_by_slug(&self, slug: &str) -> Result<Option<Organization>> {
        use organization_mapping::{Column as C, Entity};
        let select = select_organization(Entity::find().select_only())
            .filter(C::Slug.eq(slug))
            .limit(1);
        let found = fetch(self.database.reader(), &select, organization).await?;
        Ok(found.into_iter().next())
    }

    async fn get_members(
        &self,
        ids: &[OrganizationId],
        page: &PageRequest,
    ) -> Result<Vec<(OrganizationId, Page<OrganizationMember>)>> {
        use organization_member_mapping::{Column as C, Entity};
        // Members are numbered from the wanted end within each organization, so that one
        // statement cuts a page of each. Of several rows for one member the first counts.
        let order = if page.end == PageEnd::First {
            Order::Asc
        } else {
            Order::Desc
        };
        let first_row = Query::select()
            .expr(Func::min(Expr::col(C::Id)))
            .from(Entity)
            .and_where(
                self.database
                    .dialect()
                    .any_id(C::OrganizationId, ids.iter().map(|id| id.0)),
            )
            .and_where(Expr::col(C::UserId).is_not_null())
            .and_where_option(
                page.after
                    .as_ref()
                    .map(|after| Expr::col(C::UserId).gt(after.id)),
            )
            .and_where_option(
                page.before
                    .as_ref()
                    .map(|before| Expr::col(C::UserId).lt(before.id)),
            )
            .cond_where(is_joined())
            .group_by_columns([C::OrganizationId, C::UserId])
            .take();
        let number = WindowStatement::partition_by(C::OrganizationId)
            .order_by(C::UserId, order.clone())
            .take();
        let numbered = Query::select()
            .columns([C::OrganizationId, C::UserId, C::Role, C::DateAdded])
            .expr_window_as(Func::cust("ROW_NUMBER"), number, "number")
            .from(Entity)
            .and_where(Expr::col(C::Id).in_subquery(first_row))
            .take();
        let column = |column: C| Expr::col(("members", column));
        let mut select = UserProfile::select();
        QueryTrait::query(&mut select)
            .join_subquery(
                sea_orm::JoinType::InnerJoin,
                numbered,
                "members",
                Expr::col((user::Entity, user::Column::Id)).equals(("members", C::UserId)),
            )
            .expr(column(C::OrganizationId))
            .expr(column(C::Role))
            .expr(column(C::DateAdded))
            .and_where(Expr::col(("members", "number")).lte(i64::from(page.size) + 1))
            .order_by(("members", C::OrganizationId), Order::Asc)
            .order_by(("members", C::UserId), order);
        let mut members: HashMap<i64, Vec<OrganizationMember>> = HashMap::new();
        for (organization, member) in fetch(self.database.reader(), &select, member).await? {
            members.entry(organization).or_default().push(member);
        }
        Ok(ids
            .iter()
            .map(|id| {
                (
                    *id,
                    Page::from_overfull(members.get(&id.0).cloned().unwrap_or_default(), page),
                )
            })
            .collect())
    }

    async fn count_members(&self, ids: &[OrganizationId]) -> Result<Vec<(OrganizationId, u64)>> {
        use organization_member_mapping::{Column as C, Entity};
        let rows: Vec<(i64, i64)> = Entity::find()
            .select_only()
            .column(C::OrganizationId)
            .column_as(Expr::col(C::UserId).count_distinct(), "members")
            .filter(
                self.database
                    .dialect()
                    .any_id(C::OrganizationId, ids.iter().map(|id| id.0)),
            )
            .filter(C::UserId.is_not_null())
            .filter(is_joined())
            .group_by(C::OrganizationId)
            .into_tuple()
            .all(self.database.reader())
            .await?;
        let counts: HashMap<i64, i64> = rows.into_iter().collect();
        Ok(ids
            .iter()
            .map(|id| {
                let count = counts.get(&id.0).copied().unwrap_or_default();
                (*id, u64::try_from(count).unwrap_or_default())
            })
            .collect())
    }

    async fn get_joined(&self, user_id: UserId) -> Result<Vec<OrganizationId>> {
        let joined = &self.database.lookups().organizations.joined;
        self.database.all(joined, &[Parameter::Id(user_id.0)]).await
    }

    async fn get_colleagues(&self, user_id: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        let colleagues = &self.database.lookups().organizations.colleagues;
        let parameters = [Parameter::Ids(&numbers(others)), Parameter::Id(user_id.0)];
        self.database.all(colleagues, &parameters).await
    }
}
