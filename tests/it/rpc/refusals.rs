//! Calls that get no result, each row of what Sentry answers to one.

use serde_json::json;
use user_gateway::domain::UserId;

use super::{Control, SECRET, path, secrets, sign};

const METHOD: &str = "user/get_many";
const BODY: &str = r#"{"meta":{},"args":{"filter":{"user_ids":[1]}}}"#;

#[tokio::test]
async fn the_signature_that_sentry_computes_opens_the_door() {
    let control = Control::start().await;
    let signature = "rpc0:5dbcdd6ef9c8b1f08bdd9d7bbe141bc4e9cfc68f4cc0d91972979ee10eba1a0d";
    assert_eq!(sign(SECRET, &path(METHOD), BODY), signature);
    for scheme in ["Rpcsignature", "rpcsignature", "RPCSIGNATURE"] {
        let authorization = format!("{scheme} {signature}");
        let answer = control.send(METHOD, BODY, Some(&authorization)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text(), r#"{"meta":{},"value":[]}"#);
    }
}

#[tokio::test]
async fn who_is_no_silo_is_forbidden() {
    let control = Control::start().await;
    let signature = sign(SECRET, &path(METHOD), BODY);
    for authorization in [
        None,
        Some(String::new()),
        Some("Rpcsignature".to_owned()),
        Some("Rpcsignature ".to_owned()),
        Some(signature.clone()),
        Some(format!("Bearer {signature}")),
        Some("Bearer sntryu_00".to_owned()),
    ] {
        for (method, body) in [(METHOD, BODY), ("nothing/nowhere", BODY), (METHOD, "{")] {
            let answer = control.send(method, body, authorization.as_deref()).await;
            assert_eq!(answer.status, 403, "{authorization:?} {method} {body}");
        }
    }
}

#[tokio::test]
async fn a_wrong_signature_is_refused_before_anything_is_read() {
    let control = Control::start().await;
    let right = sign(SECRET, &path(METHOD), BODY);
    let digits = right.strip_prefix("rpc0:").unwrap();
    for signature in [
        sign("another secret", &path(METHOD), BODY),
        sign(SECRET, &path("user/get_many_ids"), BODY),
        sign(SECRET, &path(METHOD), "{}"),
        digits.to_owned(),
        format!("rpc1:{digits}"),
        format!("rpc0:{}", digits.to_uppercase()),
        format!("{right}:{digits}"),
        format!("rpc0::{digits}"),
        format!("{right} {digits}"),
        right[..right.len() - 2].to_owned(),
        "rpc0:".to_owned(),
        "x".to_owned(),
    ] {
        let authorization = format!("Rpcsignature {signature}");
        let answer = control.send(METHOD, BODY, Some(&authorization)).await;
        assert_eq!(answer.status, 401, "{signature}");
        assert_eq!(answer.header("www-authenticate"), "Rpcsignature");
    }
    for (method, body) in [("nothing/nowhere", BODY), (METHOD, "{")] {
        let answer = control
            .send(method, body, Some("Rpcsignature rpc0:00"))
            .await;
        assert_eq!(answer.status, 401, "{method} {body}");
    }
}

#[tokio::test]
async fn a_secret_is_replaced_without_a_gap() {
    let control = Control::with(|server| server.secrets = secrets(&["new", "old"])).await;
    for (secret, status) in [("new", 200), ("old", 200), ("older", 401)] {
        let authorization = format!("Rpcsignature {}", sign(secret, &path(METHOD), BODY));
        let answer = control.send(METHOD, BODY, Some(&authorization)).await;
        assert_eq!(answer.status, status, "{secret}");
    }
}

#[tokio::test]
async fn what_is_no_call_is_malformed() {
    let control = Control::start().await;
    for body in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"meta":{}}"#,
        r#"{"meta":{},"args":null}"#,
        r#"{"meta":{},"args":[]}"#,
        r#"{"meta":[],"args":{}}"#,
        r#"[{},{"filter":{"user_ids":[1]}}]"#,
        r#"{"meta":{"viewer_context":"x"},"args":{}}"#,
        r#"{"meta":{"user_gateway":true},"args":{}}"#,
        r#"{"meta":{"user_gateway":{"version":1,"idempotency_key":"x"}},"args":{}}"#,
        r#"{"meta":{},"args":{}}trailing"#,
        "\u{feff}{}",
    ] {
        control.signed(METHOD, body).await.is_malformed();
        // It comes before the question whether there is such a method.
        control.signed("user/nothing", body).await.is_malformed();
    }
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let body = format!(r#"{{"meta":{{}},"args":{{"filter":{deep}}}}}"#);
    control.signed(METHOD, &body).await.is_malformed();
}

#[tokio::test]
async fn sentrys_own_meta_is_no_obstacle() {
    let control = Control::start().await;
    for meta in [
        json!({}),
        json!(null),
        json!({ "viewer_context": { "user_id": 1, "actor_type": "user" } }),
        json!({ "something": "new" }),
    ] {
        let mut body = json!({ "args": { "filter": { "user_ids": [] } } });
        if !meta.is_null() {
            body["meta"] = meta;
        }
        let answer = control.signed(METHOD, &body.to_string()).await;
        assert_eq!(answer.text(), r#"{"meta":{},"value":[]}"#, "{body}");
    }
}

#[tokio::test]
async fn arguments_that_cannot_be_read_are_malformed() {
    let control = Control::start().await;
    for (method, args) in [
        (METHOD, json!({})),
        (METHOD, json!({ "filter": null })),
        (METHOD, json!({ "filter": [] })),
        (METHOD, json!({ "filter": [[1]] })),
        (METHOD, json!({ "filter": { "user_ids": 1 } })),
        (METHOD, json!({ "filter": { "user_ids": "1" } })),
        (METHOD, json!({ "filter": { "user_ids": ["one"] } })),
        (METHOD, json!({ "filter": { "user_ids": [null] } })),
        (
            METHOD,
            json!({ "filter": { "user_ids": [1], "is_active": "perhaps" } }),
        ),
        ("user/flush_nonce", json!({ "user_id": null })),
        ("user/get_many_by_email", json!({ "emails": null })),
        (
            "user/get_many_by_email",
            json!({ "emails": [], "is_active": null }),
        ),
        (
            "user/serialize_many",
            json!({ "filter": { "user_ids": [1] }, "serializer": 3 }),
        ),
        (
            "user/serialize_many",
            json!({ "filter": { "user_ids": [1] }, "as_user": 1 }),
        ),
        (
            "user_option/get_many",
            json!({ "filter": { "key": "theme" } }),
        ),
        (
            "user_option/get_many",
            json!({ "filter": { "user_ids": null } }),
        ),
        (
            "user_option/set_option",
            json!({ "user_id": 1, "key": "theme" }),
        ),
    ] {
        control.call(method, args).await.is_malformed();
    }
    for context in [
        json!(1),
        json!("x"),
        json!({ "user": 1 }),
        json!({ "user": { "id": [] } }),
    ] {
        let args = json!({ "filter": { "user_ids": [] }, "auth_context": context });
        control.call("user/get_many", args).await.is_malformed();
    }
    for context in [
        json!(null),
        json!({}),
        json!({ "auth": null, "user": null }),
    ] {
        let args = json!({ "filter": { "user_ids": [] }, "auth_context": context });
        assert_eq!(control.value("user/get_many", args).await, json!([]));
    }
}

#[tokio::test]
async fn arguments_that_nobody_knows_are_left_out_of_account() {
    let control = Control::start().await;
    let args = json!({ "filter": { "user_ids": [] }, "colour": "red" });
    assert_eq!(control.value(METHOD, args).await, json!([]));
}

#[tokio::test]
async fn what_nobody_answers_is_not_found() {
    let control = Control::start().await;
    for method in [
        "user/delete_user",
        "user/",
        "nothing/get_many",
        "User/get_many",
        "user/GET_MANY",
        // It is a control silo.
        "region_caching/clear_key",
        // Sentry has no such service.
        "user_gateway/get_roles",
    ] {
        let answer = control.call(method, json!({ "user_ids": [1] })).await;
        assert_eq!(answer.status, 404, "{method}: {}", answer.text());
    }
    let told = control
        .call_as_gateway("user_gateway/get_role", json!({}))
        .await;
    assert_eq!(told.status, 404);
}

#[tokio::test]
async fn methods_that_are_not_for_other_silos_are_invalid() {
    let control = Control::start().await;
    for method in [
        "user/get_user",
        "user/get_many_by_id",
        "user_option/get_option_from_list",
    ] {
        control
            .call(method, json!({ "user_id": 1 }))
            .await
            .is_invalid();
    }
}

#[tokio::test]
async fn services_that_a_silo_has_not_are_not_found() {
    let control = Control::with(|server| {
        server.services = None;
        server.tokens = None;
        server.control_caching = None;
    })
    .await;
    for method in [
        METHOD,
        "user/get_user",
        "user_option/get_many",
        "user_gateway/get_roles",
        "user_gateway/find_token",
        "control_caching/clear_key",
    ] {
        let answer = control.call_as_gateway(method, json!({})).await;
        assert_eq!(answer.status, 404, "{method}: {}", answer.text());
    }
}

#[tokio::test]
async fn only_posts_are_calls() {
    let control = Control::start().await;
    let url = format!("{}{}", control.origin, path(METHOD));
    let answer = control.client.get(url).send().await.unwrap();
    assert_eq!(answer.status(), 405);
}

#[tokio::test]
async fn without_a_database_a_call_may_be_tried_again() {
    let control = Control::start().await;
    control.db.database().close().await;
    let args = json!({ "filter": { "user_ids": [1] } });
    for answer in [
        control.call(METHOD, args.clone()).await,
        control.call_as_gateway(METHOD, args).await,
    ] {
        assert_eq!(answer.status, 503, "{}", answer.text());
        assert_eq!(answer.header("retry-after"), "1");
    }
}

#[tokio::test]
async fn a_fault_of_ours_says_nothing_of_itself() {
    let control = Control::start().await;
    control.db.execute("DROP TABLE sentry_useravatar").await;
    let args = json!({ "user_id": 1 });
    control
        .call("user/get_user_avatar", args.clone())
        .await
        .is_invalid();
    let answer = control.call_as_gateway("user/get_user_avatar", args).await;
    assert_eq!(answer.status, 500);
    let text = answer.text();
    assert!(
        !text.contains("sentry_useravatar") && !text.contains("table"),
        "{text}"
    );
}

#[tokio::test]
async fn a_failure_is_to_sentry_what_any_failure_is_and_to_a_gateway_what_it_was() {
    let control = Control::start().await;
    let UserId(ada) = control.db.add_user("ada").await;
    let [taken, nobody] = [
        (
            "user/create_by_username_and_email",
            json!({ "username": "ada", "email": "" }),
        ),
        (
            "user/add_permission",
            json!({ "user_id": ada + 1, "permission": "x" }),
        ),
    ];
    for (method, args) in [&taken, &nobody] {
        control.call(method, args.clone()).await.is_invalid();
    }
    let answer = control.call_as_gateway(taken.0, taken.1).await;
    assert_eq!(answer.status, 422);
    let told = json!({
        "detail": "the username `ada` is taken; choose another",
        "code": "BAD_USER_INPUT",
        "argument": ["username"],
        "invalid_code": "TAKEN",
    });
    assert_eq!(answer.json(), told);
    let answer = control.call_as_gateway(nobody.0, nobody.1).await;
    assert_eq!(answer.status, 422);
    let detail = format!("there is no user with the id {}", ada + 1);
    assert_eq!(
        answer.json(),
        json!({ "detail": detail, "code": "NOT_FOUND" })
    );
}
