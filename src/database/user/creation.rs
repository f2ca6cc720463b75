//! How a user is created where changes are pipelined: by one transaction, which is sent at once.

use chrono::DateTime;
use entity::user;
use sea_orm::sea_query::{
    Alias, Expr, ExprTrait as _, PostgresQueryBuilder, Query, SelectStatement,
};
use sea_orm::{
    ActiveModelTrait as _, ColumnTrait as _, EntityTrait as _, IdenStatic as _, Iterable as _,
    QueryFilter as _, QuerySelect as _, QueryTrait as _,
};

use super::super::Database;
use super::super::dialect::{Kind, LOCK_FOLDED, creating_user, full_lock_name};
use super::super::error::{is_locked, is_unfit, violates_unique};
use super::super::outbox::{Note, Recorded};
use super::super::pipeline::{Bound, Pipeline};
use super::super::rows::Account;
use super::super::statement::{Columns, Parameter, Prepared, Shelf};
use super::provision::{Draft, lock_name, newcomer, signup, username, validation_hash};
use crate::domain::{Change, Error, Event, NewUser, Result, UserProfile};

/// The statements that create a user.
#[derive(Debug)]
pub(in super::super) struct Creation {
    /// See [`LOCK_FOLDED`].
    lock: Prepared<()>,
    /// Creates the user `$2` with the address `$1` at `$3`, unless somebody active has the address.
    /// `$7` says to other processes who tells them. For the others see [`creating_user`].
    create: Prepared<Created>,
}

/// Who was created, and the highest id of the outbox rows.
type Created = (UserProfile, Option<i64>);

impl Creation {
    pub(in super::super) fn new(shelf: &Shelf<'_>) -> Self {
        let mut names = Vec::new();
        let mut values = Query::select();
        let dialect = shelf.dialect;
        let email = || dialect.parameter(1, Kind::Text);
        let row = newcomer(
            shelf.facts,
            Draft::signup(String::new(), "", true),
            DateTime::default(),
        );
        for column in user::Column::iter() {
            use user::Column as C;
            let Some(value) = row.get(column).into_value() else {
                continue;
            };
            names.push(format!("\"{}\"", column.as_str()));
            values.expr(match column {
                C::Username => dialect.parameter(2, Kind::Text),
                C::Name | C::Email | C::EmailUnique => email(),
                C::DateJoined | C::LastActive => dialect.parameter(3, Kind::Moment),
                _ => Expr::val(value),
            });
        }
        let holders = user::Entity::find()
            .select_only()
            .column(user::Column::Id)
            .filter(dialect.equals_folded((user::Entity, user::Column::Email), email()))
            .filter(user::Column::IsActive.eq(true));
        values.and_where(Expr::exists(holders.into_query()).not());
        let text = creating_user(
            &names.join(", "),
            &values.to_string(PostgresQueryBuilder),
            &answer().to_string(PostgresQueryBuilder),
        );
        Self {
            lock: shelf.keep_raw(LOCK_FOLDED, |_| Ok(())),
            create: shelf.keep_raw(&text, created),
        }
    }
}

/// Selects the profile of who was created and the highest id of the outbox rows, and has other
/// processes notified.
fn answer() -> SelectStatement {
    let mut answer = UserProfile::select().into_query();
    answer
        .from_clear()
        .from_as(Alias::new("created"), user::Entity)
        .expr(Expr::cust("(SELECT MAX(id) FROM told)"))
        .expr(Expr::cust(
            "pg_notify('user_gateway_change', $7::text || ' ' || \"auth_user\".\"id\")",
        ));
    answer
}

/// Reads the columns of [`answer`].
fn created(columns: &mut Columns<'_>) -> Result<Created> {
    Ok((UserProfile::read(columns)?, columns.take()?))
}

/// Creates the user of an address that nobody active has; of any number of processes one does.
/// `None` if no user was created: the address or the username is taken or locked, changes are not
/// pipelined, or the tables do not allow the statement.
pub(super) async fn create_at_once(
    database: &Database,
    new: &NewUser,
) -> Result<Option<UserProfile>> {
    let Some(changes) = &database.inner.changes else {
        return Ok(None);
    };
    let written = send(database, changes, new).await;
    if written
        .as_ref()
        .is_err_and(|error| is_unfit(error) || violates_unique(error) || is_locked(error))
    {
        return Ok(None);
    }
    if let Err(Error::Unavailable(_)) = &written {
        database.announce_committed(&[], false);
        // A user may have been created with an id that is not known here.
        database.announce(&Event::Missed);
    }
    let Some((user, up_to)) = written?.pop() else {
        return Ok(None);
    };
    let user_id = user.id;
    database.announce_committed(&[Change { user_id }], true);
    database.announce(&Event::SignedUp(signup(&user, new)));
    let recorded = up_to.map(|up_to| Recorded {
        users: vec![user_id.0],
        up_to,
    });
    database.forget_delivered(recorded).await;
    Ok(Some(user))
}

async fn send(database: &Database, changes: &Pipeline, new: &NewUser) -> Result<Vec<Created>> {
    let Creation { lock, create } = &database.lookups().creation;
    let email = new.email.as_str();
    let note = Note::of(database);
    let [now, due] = note.schedule;
    changes
        .all_locked(
            Bound {
                statement: lock,
                parameters: &[Parameter::Text(&full_lock_name(&lock_name(email)))],
            },
            Bound {
                statement: create,
                parameters: &[
                    Parameter::Text(email),
                    Parameter::Text(&username(new)),
                    Parameter::Moment(now),
                    Parameter::Text(&validation_hash()),
                    Parameter::Texts(&note.regions),
                    Parameter::Moment(due),
                    Parameter::Text(note.origin),
                ],
            },
        )
        .await
}
