//! Tokens in Sentry's table of API tokens, and in ours for services.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use entity::{StringList, api_token, service_token, user};
use sea_orm::sea_query::{Alias, Cond, Expr, ExprTrait, Query};
use sea_orm::{
    ActiveValue::Set, ColumnTrait, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, RelationTrait,
};

use super::Database;
use super::dialect::Kind;
use super::error::{is_foreign_key_violation, is_unique_violation};
use super::facts::Facts;
use super::rows::is_suspended;
use super::statement::{Columns, Parameter, Prepared, Shelf, TextList};
use crate::auth::{
    NewToken, NewTokenOwner, Scopes, StoredToken, Subject, TokenKind, TokenOwner, TokenStore,
    TokenSummary, TokenText, scopes_from_bits,
};
use crate::domain::{Change, Error, Result, UserId};

#[derive(FromQueryResult)]
#[expect(clippy::struct_excessive_bools, reason = "the table's columns")]
struct OwnerRow {
    id: i64,
    is_active: bool,
    is_superuser: bool,
    is_staff: bool,
    is_suspended: bool,
}

/// One statement a kind of look-up.
#[derive(Debug)]
pub(super) struct Lookups {
    /// The token of a user with the hash `$1`.
    by_hash: Prepared<StoredToken>,
    /// The token of a user whose hash is not kept, with the text `$1`.
    in_plain_text: Prepared<StoredToken>,
    /// The token of a service with the hash `$1`, where there is a table of them.
    of_service: Option<Prepared<StoredToken>>,
}

impl Lookups {
    pub(super) fn new(shelf: &Shelf<'_>) -> Self {
        use api_token::{Column as C, Entity, Relation};
        let facts = shelf.facts;
        let text = || shelf.dialect.parameter(1, Kind::Text);
        let select = Entity::find()
            .select_only()
            .column(C::UserId)
            .columns([
                user::Column::IsActive,
                user::Column::IsSuperuser,
                user::Column::IsStaff,
            ])
            .column_as(is_suspended(facts), "is_suspended")
            .column_as(application_is_active(facts), "application_is_active")
            .columns([C::Scopes, C::ScopeList, C::ExpiresAt])
            .join(JoinType::InnerJoin, Relation::User.def());
        let by_hash = select.clone().filter(Expr::col(C::HashedToken).eq(text()));
        // What stands in the table's text column of a token of ours is made of its hash, which
        // must not work as a token.
        let in_plain_text = select
            .filter(Expr::col(C::Token).eq(text()))
            .filter(C::HashedToken.is_null());
        let of_service = service_token::Entity::find()
            .select_only()
            .columns([
                service_token::Column::Name,
                service_token::Column::ScopeList,
                service_token::Column::ExpiresAt,
            ])
            .filter(Expr::col(service_token::Column::HashedToken).eq(text()));
        Self {
            by_hash: shelf.keep(&by_hash, token_of_user),
            in_plain_text: shelf.keep(&in_plain_text, token_of_user),
            of_service: facts
                .has_service_token
                .then(|| shelf.keep(&of_service, token_of_service)),
        }
    }
}

fn token_of_user(columns: &mut Columns<'_>) -> Result<StoredToken> {
    let id = UserId(columns.take()?);
    let is_active: bool = columns.take()?;
    let is_superuser = columns.take()?;
    let is_staff = columns.take()?;
    let is_suspended: bool = columns.take()?;
    let application_is_active = columns.take()?;
    let bits = columns.take()?;
    let TextList(scopes) = columns.take()?;
    Ok(StoredToken {
        owner: TokenOwner::User {
            id,
            is_active: is_active && !is_suspended,
            is_superuser,
            is_staff,
            application_is_active,
        },
        scopes: effective_scopes(scopes, bits),
        expires_at: columns.take()?,
    })
}

fn token_of_service(columns: &mut Columns<'_>) -> Result<StoredToken> {
    Ok(StoredToken {
        owner: TokenOwner::Service(columns.take()?),
        scopes: Scopes::new(columns.take::<TextList>()?.0),
        expires_at: columns.take()?,
    })
}

/// Whether the token belongs to no application or to one that is in use. The table of
/// applications is Sentry's own; a directory of ours has none.
fn application_is_active(facts: &Facts) -> Expr {
    let application = Expr::col((api_token::Entity, api_token::Column::ApplicationId));
    if !facts.has_api_application {
        return Expr::val(true);
    }
    let active = Query::select()
        .column(Alias::new("id"))
        .from(Alias::new("sentry_apiapplication"))
        .and_where(Expr::col(Alias::new("status")).eq(0))
        .take();
    application
        .clone()
        .is_null()
        .or(application.in_subquery(active))
}

impl Database {
    /// The token that a look-up finds by a text.
    async fn token(
        &self,
        lookup: &Prepared<StoredToken>,
        text: &str,
    ) -> Result<Option<StoredToken>> {
        Ok(self.all(lookup, &[Parameter::Text(text)]).await?.pop())
    }

    async fn insert_token(&self, token: &NewToken) -> Result<()> {
        let now = self.clock().now();
        let scopes = StringList(token.scopes.iter().map(str::to_owned).collect());
        if matches!(token.owner, NewTokenOwner::Service(_)) && !self.facts().has_service_token {
            return Err(Error::Conflict(
                "the database has no table for tokens of services and nothing is created there; \
                 put the token's hash into the configuration instead"
                    .to_owned(),
            ));
        }
        let tx = self.begin().await?;
        let inserted = match &token.owner {
            NewTokenOwner::User(id) => {
                let row = api_token::ActiveModel {
                    user_id: Set(id.0),
                    name: Set(Some("user-gateway".to_owned())),
                    // The column is unique and not null, and the token itself is not stored. A Sentry on
                    // the same table would accept this value as a token, so it has a space, which no
                    // header can carry.
                    token: Set(format!("hashed {}", token.text.hash())),
                    hashed_token: Set(Some(token.text.hash())),
                    token_type: Set(Some("sntryu_".to_owned())),
                    token_last_characters: Set(Some(token.text.last_characters())),
                    scopes: Set(0),
                    scope_list: Set(scopes),
                    expires_at: Set(token.expires_at),
                    date_added: Set(now),
                    ..Default::default()
                };
                let exists: Option<i64> = user::Entity::find()
                    .select_only()
                    .column(user::Column::Id)
                    .filter(user::Column::Id.eq(id.0))
                    .into_tuple()
                    .one(&tx)
                    .await?;
                if exists.is_none() {
                    return Err(Error::NotFound(format!(
                        "there is no user with the id {id}"
                    )));
                }
                api_token::Entity::insert(row).exec(&tx).await.map(|_| ())
            }
            NewTokenOwner::Service(name) => {
                let row = service_token::ActiveModel {
                    name: Set(name.clone()),
                    hashed_token: Set(token.text.hash()),
                    token_last_characters: Set(token.text.last_characters()),
                    scope_list: Set(scopes),
                    expires_at: Set(token.expires_at),
                    date_added: Set(now),
                    ..Default::default()
                };
                service_token::Entity::insert(row)
                    .exec(&tx)
                    .await
                    .map(|_| ())
            }
        };
        match inserted {
            Ok(()) => {}
            Err(error) if is_unique_violation(&error) => {
                return Err(Error::Conflict(
                    "a service of this name has a token already; revoke it first or choose \
                     another name"
                        .to_owned(),
                ));
            }
            Err(error) if is_foreign_key_violation(&error) => {
                return Err(Error::NotFound("there is no such user".to_owned()));
            }
            Err(error) => return Err(error.into()),
        }
        tx.commit().await?;
        Ok(())
    }

    /// A token of a user belongs to them: its end is a change of theirs, which regions hear of too.
    async fn revoke_of_user(&self, id: i64) -> Result<bool> {
        use api_token::{Column as C, Entity};
        let tx = self.begin().await?;
        let owner: Option<i64> = Entity::find_by_id(id)
            .select_only()
            .column(C::UserId)
            .into_tuple()
            .one(&tx)
            .await?;
        let Some(owner) = owner else {
            return Ok(false);
        };
        let deleted = Entity::delete_by_id(id).exec(&tx).await?;
        let user_id = UserId(owner);
        self.commit_change(tx, Change { user_id }).await?;
        Ok(deleted.rows_affected > 0)
    }

    /// The revocation of a service token is announced as a change of [`UserId::NONE`].
    async fn revoke_of_service(&self, id: i64) -> Result<bool> {
        let tx = self.begin().await?;
        let deleted = service_token::Entity::delete_by_id(id).exec(&tx).await?;
        if deleted.rows_affected == 0 {
            tx.rollback().await;
            return Ok(false);
        }
        let user_id = UserId::NONE;
        self.commit_change(tx, Change { user_id }).await?;
        Ok(true)
    }
}

fn effective_scopes(list: Vec<String>, bits: i64) -> Scopes {
    if list.is_empty() {
        Scopes::new(scopes_from_bits(bits))
    } else {
        Scopes::new(list)
    }
}

#[async_trait]
impl TokenStore for Database {
    async fn find(&self, text: &TokenText) -> Result<Option<StoredToken>> {
        let kind = text.kind();
        let token = self.find_by_hash(&text.hash(), kind).await?;
        if token.is_some() || kind == TokenKind::Service {
            return Ok(token);
        }
        let in_plain_text = &self.lookups().tokens.in_plain_text;
        self.token(in_plain_text, text.expose()).await
    }

    async fn find_by_hash(&self, hash: &str, kind: TokenKind) -> Result<Option<StoredToken>> {
        let lookups = &self.lookups().tokens;
        match (kind, &lookups.of_service) {
            (TokenKind::User, _) => self.token(&lookups.by_hash, hash).await,
            (TokenKind::Service, Some(of_service)) => self.token(of_service, hash).await,
            (TokenKind::Service, None) => Ok(None),
        }
    }

    async fn find_owner(&self, subject: &Subject) -> Result<Option<TokenOwner>> {
        let named = match subject {
            Subject::Id(id) => Cond::all().add(user::Column::Id.eq(id.0)),
            Subject::Email(email) => {
                let column = (user::Entity, user::Column::Email);
                let equal = self.dialect().equals_folded(column, email);
                Cond::all().add(equal).add(user::Column::IsActive.eq(true))
            }
        };
        let mut rows = user::Entity::find()
            .select_only()
            .columns([
                user::Column::Id,
                user::Column::IsActive,
                user::Column::IsSuperuser,
                user::Column::IsStaff,
            ])
            .column_as(is_suspended(self.facts()), "is_suspended")
            .filter(named)
            .limit(2)
            .into_model::<OwnerRow>()
            .all(self.reader())
            .await?;
        // An address that several accounts share identifies none of them.
        let row = if rows.len() == 1 { rows.pop() } else { None };
        Ok(row.map(|row| TokenOwner::User {
            id: UserId(row.id),
            is_active: row.is_active && !row.is_suspended,
            is_superuser: row.is_superuser,
            is_staff: row.is_staff,
            application_is_active: true,
        }))
    }

    async fn create(&self, token: &NewToken) -> Result<()> {
        let token = token.clone();
        let change = self.change(|database| async move { database.insert_token(&token).await });
        change.await
    }

    async fn list(&self) -> Result<Vec<TokenSummary>> {
        #[derive(FromQueryResult)]
        struct Row {
            id: i64,
            user_id: i64,
            token_last_characters: Option<String>,
            scopes: i64,
            scope_list: StringList,
            date_added: DateTime<Utc>,
            expires_at: Option<DateTime<Utc>>,
        }
        use api_token::Column as C;
        let rows = api_token::Entity::find()
            .select_only()
            .columns([
                C::Id,
                C::UserId,
                C::TokenLastCharacters,
                C::Scopes,
                C::ScopeList,
            ])
            .columns([C::DateAdded, C::ExpiresAt])
            .order_by_asc(C::Id)
            .into_model::<Row>()
            .all(self.reader())
            .await?;
        let mut summaries: Vec<TokenSummary> = rows
            .into_iter()
            .map(|row| TokenSummary {
                id: format!("user:{}", row.id),
                owner: format!("user {}", row.user_id),
                last_characters: row.token_last_characters.unwrap_or_default(),
                scopes: effective_scopes(row.scope_list.0, row.scopes),
                date_added: row.date_added,
                expires_at: row.expires_at,
            })
            .collect();
        if self.facts().has_service_token {
            let rows = service_token::Entity::find()
                .order_by_asc(service_token::Column::Id)
                .all(self.reader())
                .await?;
            summaries.extend(rows.into_iter().map(|row| TokenSummary {
                id: format!("service:{}", row.id),
                owner: format!("service {}", row.name),
                last_characters: row.token_last_characters,
                scopes: Scopes::new(row.scope_list.0),
                date_added: row.date_added,
                expires_at: row.expires_at,
            }));
        }
        Ok(summaries)
    }

    async fn revoke(&self, id: &str) -> Result<bool> {
        let parsed = id
            .split_once(':')
            .and_then(|(kind, id)| Some((kind, id.parse::<i64>().ok()?)));
        match parsed {
            Some(("user", id)) => {
                let change =
                    self.change(|database| async move { database.revoke_of_user(id).await });
                change.await
            }
            Some(("service", id)) if self.facts().has_service_token => {
                let change =
                    self.change(|database| async move { database.revoke_of_service(id).await });
                change.await
            }
            _ => Ok(false),
        }
    }
}
