//! The organization service over the control silo's mappings.

use std::collections::HashMap;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entity::{organization_mapping, organization_member_mapping, user};
use sea_orm::sea_query::{Cond, Expr, ExprTrait, Func, Order, Query, WindowStatement};
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    RelationTrait,
};

use super::Database;
use super::rows::{ORGANIZATION_COLUMNS, OrganizationRow, ProfileRow, select_profiles};
use super::user::colleagues;
use crate::domain::{
    Membership, Organization, OrganizationId, OrganizationMember, OrganizationStatus,
    OrganizationVisibility, Page, PageEnd, PageRequest, Result, UserId,
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

#[derive(FromQueryResult)]
struct MembershipRow {
    user_id: i64,
    #[sea_orm(nested)]
    organization: OrganizationRow,
}

#[derive(FromQueryResult)]
struct MemberRow {
    organization_id: i64,
    role: String,
    date_added: DateTime<Utc>,
    #[sea_orm(nested)]
    user: ProfileRow,
}

#[async_trait]
impl OrganizationService for DatabaseOrganizationService {
    async fn get_memberships(
        &self,
        user_ids: &[UserId],
        visibility: OrganizationVisibility,
    ) -> Result<Vec<Membership>> {
        use organization_member_mapping::{Column as C, Entity, Relation};
        let user = (Entity, C::UserId);
        let mut select = Entity::find()
            .select_only()
            .distinct()
            .column(C::UserId)
            .columns(ORGANIZATION_COLUMNS)
            .join(sea_orm::JoinType::InnerJoin, Relation::Organization.def())
            .filter(
                self.database
                    .dialect()
                    .any_id(user, user_ids.iter().map(|id| id.0)),
            )
            .order_by_asc(C::UserId)
            .order_by_asc(organization_mapping::Column::OrganizationId);
        if visibility == OrganizationVisibility::OnlyVisible {
            let active = OrganizationStatus::Active.stored();
            select = select.filter(organization_mapping::Column::Status.eq(active));
        }
        let rows = select
            .into_model::<MembershipRow>()
            .all(self.database.reader())
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| Membership {
                user_id: UserId(row.user_id),
                organization: row.organization.into(),
            })
            .collect())
    }

    async fn get_many_by_id(&self, ids: &[OrganizationId]) -> Result<Vec<Organization>> {
        use organization_mapping::{Column as C, Entity};
        let rows = Entity::find()
            .select_only()
            .columns(ORGANIZATION_COLUMNS)
            .filter(
                self.database
                    .dialect()
                    .any_id(C::OrganizationId, ids.iter().map(|id| id.0)),
            )
            .order_by_asc(C::OrganizationId)
            .into_model::<OrganizationRow>()
            .all(self.database.reader())
            .await?;
        Ok(rows.into_iter().map(Organization::from).collect())
    }

    async fn get_by_slug(&self, slug: &str) -> Result<Option<Organization>> {
        use organization_mapping::{Column as C, Entity};
        let row = Entity::find()
            .select_only()
            .columns(ORGANIZATION_COLUMNS)
            .filter(C::Slug.eq(slug))
            .into_model::<OrganizationRow>()
            .one(self.database.reader())
            .await?;
        Ok(row.map(Organization::from))
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
        let member = |column: C| Expr::col(("members", column));
        let mut select = select_profiles();
        QueryTrait::query(&mut select)
            .join_subquery(
                sea_orm::JoinType::InnerJoin,
                numbered,
                "members",
                Expr::col((user::Entity, user::Column::Id)).equals(("members", C::UserId)),
            )
            .expr(member(C::OrganizationId))
            .expr(member(C::Role))
            .expr(member(C::DateAdded))
            .and_where(Expr::col(("members", "number")).lte(i64::from(page.size) + 1))
            .order_by(("members", C::OrganizationId), Order::Asc)
            .order_by(("members", C::UserId), order);
        let rows = select
            .into_model::<MemberRow>()
            .all(self.database.reader())
            .await?;
        let mut members: HashMap<i64, Vec<OrganizationMember>> = HashMap::new();
        for row in rows {
            members
                .entry(row.organization_id)
                .or_default()
                .push(OrganizationMember {
                    user: row.user.into(),
                    role: row.role,
                    date_added: row.date_added,
                });
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
        use organization_member_mapping::{Column as C, Entity};
        let ids: Vec<i64> = Entity::find()
            .select_only()
            .distinct()
            .column(C::OrganizationId)
            .filter(C::UserId.eq(user_id.0))
            .filter(is_joined())
            .order_by_asc(C::OrganizationId)
            .into_tuple()
            .all(self.database.reader())
            .await?;
        Ok(ids.into_iter().map(OrganizationId).collect())
    }

    async fn get_colleagues(&self, user_id: UserId, others: &[UserId]) -> Result<Vec<UserId>> {
        use organization_member_mapping::{Column as C, Entity};
        let ids: Vec<i64> = Entity::find()
            .select_only()
            .distinct()
            .column(C::UserId)
            .filter(
                self.database
                    .dialect()
                    .any_id(C::UserId, others.iter().map(|id| id.0)),
            )
            .filter(C::UserId.in_subquery(colleagues(user_id)))
            .into_tuple()
            .all(self.database.reader())
            .await?;
        Ok(ids.into_iter().map(UserId).collect())
    }
}
