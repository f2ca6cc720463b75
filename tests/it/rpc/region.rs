//! A region of Sentry's asks: a stand-in that is written in Sentry's language from what Sentry
//! does, and shares no line with the code under test.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use super::{Control, SECRET};
use crate::harness::{Account, Engine, TestDatabase};

/// Makes the directory that the script expects.
async fn arrange(db: &TestDatabase) {
    let ada = db
        .add(Account {
            username: "ada",
            email: "ada@example.com",
            is_superuser: true,
            ..Account::default()
        })
        .await;
    db.add_email(ada, "ada@example.com", true).await;
    let [grace, linus] = db.add_users(["grace", "linus"]).await;
    assert_eq!([ada.0, grace.0, linus.0], [1, 2, 3]);
    db.execute("UPDATE auth_user SET is_active = false WHERE id = 2")
        .await;
    db.execute("UPDATE auth_user SET last_active = '2025-02-03T04:05:06.007000+00:00'")
        .await;
    let organization = db.add_organization(7, "us", Some(0)).await;
    db.join(ada, organization).await;
    db.join(grace, organization).await;
    db.add_authenticator(ada, 1, r#"{"secret": "s"}"#).await;
    db.add_avatar(ada, 2, None).await;
    db.add_social_auth(ada, "github", "1815").await;
    let role = db.add_role("support", &["users.admin"]).await;
    db.give_role(ada, role).await;
}

/// Every method that Sentry's silos may call.
fn every_method() -> Vec<String> {
    let methods: Value = json!({
        "user": [
            "serialize_many", "get_many", "get_many_ids", "get_many_profiles",
            "get_many_by_email", "get_by_username", "get_existing_usernames",
            "get_organizations", "get_member_cell_names", "get_member_region_names",
            "update_user", "flush_nonce", "get_user_by_social_auth", "get_first_superuser",
            "get_or_create_by_email", "get_user_by_email", "verify_user_email",
            "verify_any_email", "create_by_username_and_email",
            "trigger_user_consent_email_if_applicable", "verify_user_emails",
            "get_user_avatar", "add_permission", "remove_permission", "resolve_fuzzy_user",
        ],
        "user_option": ["get_many", "serialize_many", "set_option", "delete_options"],
        "control_caching": ["clear_key"],
    });
    let mut names = Vec::new();
    for (service, methods) in methods.as_object().unwrap() {
        let methods = methods.as_array().unwrap().iter();
        names.extend(methods.map(|name| format!("{service}/{}", name.as_str().unwrap())));
    }
    names
}

#[tokio::test]
#[ignore = "needs Python"]
async fn a_region_of_sentrys_gets_every_answer_it_asks_for() {
    answers(Engine::Sqlite).await;
}

#[tokio::test]
#[ignore = "needs Python and PostgreSQL"]
async fn a_region_of_sentrys_gets_every_answer_it_asks_for_on_postgresql() {
    answers(Engine::Postgres).await;
}

async fn answers(engine: Engine) {
    let control = Control::over(TestDatabase::open(engine).await, |_| {}).await;
    arrange(&control.db).await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sentry/region.py");
    let origin = control.origin.clone();
    let run = move || {
        Command::new("python3")
            .arg(script)
            .args([&origin, SECRET])
            .output()
    };
    let output = spawn_blocking(run).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}{errors}");
    let called: Vec<&str> = said.lines().collect();
    for method in every_method() {
        assert!(called.contains(&&*method), "{method} was not called");
    }
}
