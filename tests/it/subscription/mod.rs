//! Operations that are answered by events: what is told, to whom, and over what.

use serde_json::{Value, json};
use user_gateway::domain::UserId;

use crate::harness::{Account, Engine, Gateway, TestDatabase};

mod events;
mod floods;
mod opening;
mod outage;
mod protocol;
mod user_changed;
mod user_option_changed;

/// A gateway with `ada`, user 1, and `bob`, user 2, who share nothing; and tokens of theirs and of
/// a superuser, user 3.
#[derive(Debug)]
struct Directory {
    gateway: Gateway,
    ada: String,
    bob: String,
    admin: String,
}

const ADA: UserId = UserId(1);
const BOB: UserId = UserId(2);

impl Directory {
    async fn start(engine: Engine) -> Self {
        Self::with(engine, |_| {}).await
    }

    async fn with(engine: Engine, adjust: impl FnOnce(&mut user_gateway::config::Config)) -> Self {
        let database = TestDatabase::open(engine).await;
        assert_eq!(database.add_users(["ada", "bob"]).await, [ADA, BOB]);
        let admin = database
            .add(Account {
                username: "admin",
                is_superuser: true,
                is_staff: true,
                ..Account::default()
            })
            .await;
        let gateway = Gateway::over(database, adjust).await;
        Self {
            ada: gateway.user_token(ADA, &[]).await,
            bob: gateway.user_token(BOB, &[]).await,
            admin: gateway.user_token(admin, &[]).await,
            gateway,
        }
    }

    /// Changes a user's name by another client.
    async fn rename(&self, id: UserId, name: &str) {
        let query = "mutation ($id: ID!, $name: String!) {
            updateUser(input: { userId: $id, name: $name }) { errors { code } }
        }";
        self.change(query, json!({ "id": id.0.to_string(), "name": name }))
            .await;
    }

    /// Sets an option by another client.
    async fn set_option(&self, id: UserId, key: &str, value: impl Into<Value>) {
        let query = "mutation ($id: ID!, $key: String!, $value: JSON) {
            setUserOption(input: { userId: $id, key: $key, value: $value }) { errors { code } }
        }";
        let value: Value = value.into();
        self.change(
            query,
            json!({ "id": id.0.to_string(), "key": key, "value": value }),
        )
        .await;
    }

    async fn change(&self, query: &str, variables: Value) {
        let answer = self.gateway.ask_with(&self.admin, query, variables).await;
        assert!(answer.get("errors").is_none(), "{answer}");
        let payload = answer["data"].as_object().unwrap().values().next();
        assert_eq!(payload.unwrap()["errors"], json!([]), "{answer}");
    }
}
