//! The directory that is asked, and who asks.

use user_gateway::domain::UserId;

use crate::harness::{Account, Engine, Fleet, Plan, TestDatabase};
use crate::silo::EVERYTHING;

/// A directory in which everything occurs that an answer may show.
async fn fill(database: &TestDatabase) {
    let [ada, bob] = database.add_users(["ada", "bob"]).await;
    database.add_email(ada, "second@example.com", false).await;
    let accounts = [
        Account {
            username: "cyd",
            name: "Cyd",
            email: "cyd@example.com",
            is_superuser: true,
            ..Account::default()
        },
        Account {
            username: "dan",
            email: "dan@example.com",
            is_active: false,
            ..Account::default()
        },
        Account {
            username: "eve",
            name: "Eve über 100%_\u{1f600}",
            date_joined: "2024-02-29T23:59:59.123456+00:00",
            ..Account::default()
        },
    ];
    for account in accounts {
        database.add(account).await;
    }
    let [fay] = database.add_users(["fay"]).await;
    let gus = Account {
        username: "gus",
        email: "gus@example.com",
        password: "",
        is_staff: true,
        ..Account::default()
    };
    database.add(gus).await;
    let shared = database.add_organization(10, "us", Some(0)).await;
    let leaving = database.add_organization(11, "de", Some(1)).await;
    database.add_organization(12, "us", None).await;
    for organization in [shared, leaving] {
        database.join(ada, organization).await;
    }
    database
        .add_membership(shared, Some(bob), "owner", Some(0))
        .await;
    database
        .add_membership(shared, Some(fay), "member", Some(1))
        .await;
    database
        .add_membership(shared, None, "member", Some(1))
        .await;
    database.add_authenticator(ada, 0, "{}").await;
    database
        .add_authenticator(ada, 1, "{\"secret\": \"JBSWY3DP\"}")
        .await;
    let provider = database.add_provider(shared).await;
    database.add_identity(ada, provider, "ada@idp").await;
    database.add_avatar(ada, 2, None).await;
    database.add_avatar(bob, 1, Some(7)).await;
    for (name, permissions) in [("admin", &["a", "b"][..]), ("empty", &[])] {
        let role = database.add_role(name, permissions).await;
        database.give_role(ada, role).await;
    }
    for (scope, key, value) in [
        ((None, None), "theme", "\"dark\""),
        ((Some(5), None), "mail:email", "\"work@example.com\""),
        ((None, Some(10)), "theme", "{\"a\": [1, null]}"),
        ((None, None), "null", "NULL"),
    ] {
        database.add_option(ada, scope, key, value).await;
    }
    database
        .add_option(bob, (None, None), "theme", "\"system\"")
        .await;
    if database.engine() == Engine::Sqlite {
        // A form that cannot be read, and that PostgreSQL would not take.
        database
            .add_option(bob, (None, None), "old", "gAJLAS4=")
            .await;
    }
}

/// Somebody who asks.
#[derive(Debug)]
pub(super) struct Caller {
    /// Who it is, for a report.
    pub(super) name: &'static str,
    /// Whether the token is worth something.
    pub(super) is_known: bool,
    pub(super) token: String,
}

/// A fleet with that directory, and everybody who asks.
pub(super) async fn filled(engine: Engine) -> (Fleet, Vec<Caller>) {
    let plan = Plan {
        engine,
        regions: &[("us", 1)],
        redis: None,
    };
    let fleet = Fleet::of(&plan, |_| {}).await;
    fill(&fleet.database).await;
    let mut callers = Vec::new();
    for (name, id) in [
        ("ada", 1),
        ("cyd, a superuser", 3),
        ("eve, without colleagues", 5),
        ("dan, inactive", 4),
    ] {
        callers.push(Caller {
            name,
            is_known: id != 4,
            token: fleet.user_token(UserId(id)).await,
        });
    }
    for (name, scopes) in [
        ("a service with every scope", &EVERYTHING[..]),
        ("a service that reads users", &["user:read"]),
        ("a service that changes users", &["user:read", "user:write"]),
        ("a service that reads organizations", &["org:read"]),
        ("a service without scopes", &[]),
    ] {
        callers.push(Caller {
            name,
            is_known: true,
            token: fleet.service_token(scopes).await,
        });
    }
    callers.push(Caller {
        name: "somebody unknown",
        is_known: false,
        token: "sntryu_made-up".to_owned(),
    });
    (fleet, callers)
}
