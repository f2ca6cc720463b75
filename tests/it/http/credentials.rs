//! Who may come in at all.

use std::sync::Arc;

use serde_json::json;
use user_gateway::auth::{NewToken, NewTokenOwner, Scopes, TokenKind, TokenStore, TokenText};
use user_gateway::config::ServiceTokenConfig;

use super::{CREATE, NEW, OLD, Open};
use crate::harness::{Account, Answer, Engine, Gateway, at};

const DOCUMENTS: [&str; 6] = [
    "{ viewer { scopes } }",
    "{ __schema { queryType { name } } }",
    "{ __typename }",
    "{ nobodyKnowsThisField }",
    "{",
    CREATE,
];

#[tokio::test]
async fn without_credentials_a_good_document_and_a_bad_one_look_the_same() {
    let open = Open::start().await;
    for accept in [NEW, OLD] {
        let mut seen: Option<Answer> = None;
        let bodies = DOCUMENTS.map(|query| json!({ "query": query }).to_string());
        for body in bodies.iter().map(String::as_str).chain(["{", "[]", "{}"]) {
            let request = open
                .gateway
                .graphql()
                .header("accept", accept)
                .header("content-type", "application/json")
                .body(body.to_owned());
            let mut answer = Answer::to(request).await;
            answer.refuses(401, "UNAUTHENTICATED");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            // These two differ between any two requests.
            assert!(answer.headers.remove("x-request-id").is_some());
            answer.headers.remove("date");
            let seen = seen.get_or_insert_with(|| answer.clone());
            assert_eq!((&seen.headers, &seen.body), (&answer.headers, &answer.body));
        }
    }
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn a_get_without_credentials_is_refused_too() {
    let open = Open::start().await;
    for path in [
        "/graphql",
        "/graphql?query={viewer{scopes}}",
        "/graphql?query={",
    ] {
        let answer = Answer::to(open.gateway.get(path)).await;
        answer.refuses(401, "UNAUTHENTICATED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
}

#[tokio::test]
async fn a_header_that_is_no_bearer_token_is_refused() {
    let open = Open::start().await;
    let token = open.token.as_bytes();
    let headers: [&[u8]; 12] = [
        b"",
        b" ",
        b"Bearer",
        b"Bearer ",
        token,
        b"Bearer a b",
        b"Basic YTpi",
        b"Token abc",
        b"Bearer: abc",
        b"Bearer \xff\xfe",
        &[b"DSN ", token].concat(),
        &[b"Bearer Bearer ", token].concat(),
    ];
    for header in headers {
        let request = open
            .gateway
            .graphql()
            .header("authorization", header)
            .json(&json!({ "query": CREATE }));
        let answer = Answer::to(request).await;
        answer.refuses(401, "UNAUTHENTICATED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
        assert!(!answer.text().contains(&open.token), "{}", answer.text());
    }
    assert_eq!(open.others().await, 0);
    for scheme in ["bearer", "BEARER", "Bearer  "] {
        let request = open
            .gateway
            .graphql()
            .header("authorization", format!("{scheme} {}", open.token))
            .json(&json!({ "query": "{ __typename }" }));
        assert_eq!(Answer::to(request).await.status, 200, "{scheme}");
    }
}

#[tokio::test]
async fn a_token_that_nobody_has_is_refused() {
    let open = Open::start().await;
    let mut almost = open.token.clone();
    let last = if almost.pop() == Some('0') { '1' } else { '0' };
    almost.push(last);
    let hash = TokenText::new(&open.token).hash();
    for token in ["x", "sntryu_", "ugsvc_", &almost, &hash, "' OR 1=1 --"] {
        let request = open
            .gateway
            .graphql()
            .header("authorization", format!("Bearer {token}"))
            .json(&json!({ "query": "{ __typename }" }));
        let answer = Answer::to(request).await;
        answer.refuses(401, "UNAUTHENTICATED");
        assert!(!answer.text().contains(token) || token.len() < 8);
    }
}

#[tokio::test]
async fn a_text_too_long_for_a_token_is_not_even_looked_up() {
    let open = Open::start().await;
    let before = open.gateway.statements();
    let long = format!("sntryu_{}", "a".repeat(300));
    let body = json!({ "query": "{ __typename }" });
    let answer = Answer::to(open.gateway.graphql().bearer_auth(long).json(&body)).await;
    answer.refuses(401, "UNAUTHENTICATED");
    assert_eq!(open.gateway.statements(), before);
}

#[tokio::test]
async fn a_token_works_until_the_moment_it_expires() {
    let gateway = Gateway::start(Engine::Sqlite).await;
    let user = gateway.database.add_user("ada").await;
    let text = TokenText::generate(TokenKind::User);
    let token = NewToken {
        text: text.clone(),
        owner: NewTokenOwner::User(user),
        scopes: Scopes::all(),
        expires_at: Some(at("2026-02-01T00:00:00Z")),
    };
    gateway.database.database().create(&token).await.unwrap();
    for (moment, status) in [
        ("2026-01-31T23:59:59Z", 200),
        ("2026-02-01T00:00:00Z", 401),
        ("2026-02-01T00:00:01Z", 401),
    ] {
        gateway.database.clock.set(at(moment));
        let body = json!({ "query": "{ __typename }" });
        let request = gateway.graphql().bearer_auth(text.expose()).json(&body);
        let answer = Answer::to(request).await;
        assert_eq!(answer.status, status, "{moment}");
        if status == 401 {
            answer.refuses(401, "UNAUTHENTICATED");
            assert!(answer.text().contains("expired"), "{}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_token_of_an_inactive_user_is_refused() {
    let gateway = Gateway::start(Engine::Sqlite).await;
    let account = Account {
        username: "gone",
        is_active: false,
        is_superuser: true,
        ..Account::default()
    };
    let user = gateway.database.add(account).await;
    let token = gateway.user_token(user, &[]).await;
    let body = json!({ "query": "{ __typename }" });
    let answer = Answer::to(gateway.graphql().bearer_auth(&token).json(&body)).await;
    answer.refuses(401, "UNAUTHENTICATED");

    let update = format!("UPDATE auth_user SET is_active = true WHERE id = {user}");
    gateway.database.execute(&update).await;
    let answer = Answer::to(gateway.graphql().bearer_auth(&token).json(&body)).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_service_token_may_stand_in_the_configuration_by_its_hash() {
    let text = TokenText::generate(TokenKind::Service);
    let configured = ServiceTokenConfig {
        name: "billing".to_owned(),
        hash: text.hash(),
        scopes: vec!["user:read".to_owned()],
    };
    let gateway = Gateway::with(Engine::Sqlite, |config| {
        config.auth.service_tokens.push(configured);
    })
    .await;
    let answer = gateway
        .ask(text.expose(), "{ viewer { service scopes } }")
        .await;
    assert_eq!(
        answer,
        json!({ "data": { "viewer": { "service": "billing", "scopes": ["user:read"] } } })
    );
    // The hash stands in a file that many may read; it opens nothing.
    let request = gateway.graphql().bearer_auth(text.hash());
    Answer::to(request.json(&json!({ "query": "{ __typename }" })))
        .await
        .refuses(401, "UNAUTHENTICATED");
    // What the token does not allow it does not allow here either.
    let answer = gateway.ask(text.expose(), CREATE).await;
    assert_eq!(answer["errors"][0]["extensions"]["code"], "FORBIDDEN");
}

#[tokio::test]
async fn anybody_may_read_the_schema_and_nothing_else_if_that_is_switched_on() {
    let open = Open::with(|config| config.graphql.anonymous_introspection = true).await;
    let ask = async |query: &str| {
        let request = open.gateway.graphql().json(&json!({ "query": query }));
        Answer::to(request).await
    };
    for query in [
        "{ __schema { queryType { name } } __type(name: \"User\") { name } }",
        "{ __schema { queryType { name } } ...F } fragment F on Query { __type(name: \"User\") { name } }",
        "{ ...F } fragment F on Query { __schema { ...G } ... { __type(name: \"User\") { name } } }
            fragment G on __Schema { queryType { name } }",
    ] {
        assert_eq!(
            ask(query).await.json(),
            json!({ "data": {
                "__schema": { "queryType": { "name": "Query" } },
                "__type": { "name": "User" },
            } })
        );
    }
    let answer = ask("query Mine { __typename }").await;
    assert_eq!(answer.status, 200);
    for query in [
        "{ viewer { scopes } }",
        "{ __typename viewer { scopes } }",
        "{ __schema { queryType { name } } users { nodes { id } } }",
        "{ nobodyKnowsThisField }",
        "{ ...F } fragment F on Query { viewer { scopes } }",
        "{ __schema { queryType { name } } ...F } fragment F on Query { ... { viewer { scopes } } }",
        "{ __schema { queryType { name } } viewer @skip(if: true) { scopes } }",
        "{ ... on Query { users { totalCount } } }",
        "query A { __typename } query B { viewer { scopes } }",
        "{",
        "",
        CREATE,
        "mutation { __typename }",
    ] {
        let answer = ask(query).await;
        answer.refuses(401, "UNAUTHENTICATED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    // In a batch one that may not be asked spoils them all.
    let batch = json!([{ "query": "{ __typename }" }, { "query": CREATE }]);
    Answer::to(open.gateway.graphql().json(&batch))
        .await
        .refuses(401, "UNAUTHENTICATED");
    // Bad credentials are worse than none.
    let request = open.gateway.graphql().bearer_auth("nonsense");
    Answer::to(request.json(&json!({ "query": "{ __typename }" })))
        .await
        .refuses(401, "UNAUTHENTICATED");
    assert_eq!(open.others().await, 0);
}

#[tokio::test]
async fn what_the_caller_may_not_do_is_forbidden_and_not_done() {
    let gateway = Gateway::start(Engine::Sqlite).await;
    let [ada, _] = gateway.database.add_users(["ada", "bob"]).await;
    let token = gateway.user_token(ada, &[]).await;
    let answer = Answer::to(
        gateway
            .graphql()
            .bearer_auth(&token)
            .json(&json!({ "query": CREATE })),
    )
    .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.code(), "FORBIDDEN");
    assert_eq!(gateway.database.count("auth_user").await, 2);
}

#[tokio::test]
async fn a_token_is_the_same_to_every_request_that_uses_it_at_once() {
    let open = Arc::new(Open::start().await);
    let asking = (0..32).map(|_| {
        let open = Arc::clone(&open);
        tokio::spawn(async move { open.query("{ viewer { user { username } } }").await.json() })
    });
    for answer in asking.collect::<Vec<_>>() {
        assert_eq!(
            answer.await.unwrap(),
            json!({ "data": { "viewer": { "user": { "username": "admin" } } } })
        );
    }
}
