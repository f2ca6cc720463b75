//! `organizations`.

use serde_json::json;
use user_gateway::domain::{OrganizationId, UserId};

use super::{ada, assert_outcomes};
use crate::harness::Engine;

on_each_engine! {
    organizations_come_by_id_with_all_their_fields
    those_on_their_way_out_or_in_can_be_left_out
    nobody_has_no_organizations
    what_is_no_id_of_a_user_is_refused
}

async fn organizations_come_by_id_with_all_their_fields(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let ada = UserId(1);
    for id in [20, 3] {
        let organization = database.add_organization(id, "us", Some(0)).await;
        database.join(ada, organization).await;
    }
    let flags = "UPDATE sentry_organizationmapping SET require_2fa = true, disable_member_invite = true \
                 WHERE organization_id = 3";
    database.execute(flags).await;
    // Several rows for one membership are one membership.
    database.join(ada, OrganizationId(3)).await;
    let answer = gateway
        .ask(
            &token,
            "{ organizations(userId: 1) { id slug flags { earlyAdopter require2FA allowJoinleave
                enhancedPrivacy disableSharedIssues disableNewVisibilityFeatures
                disableMemberProjectCreation preventSuperuserAccess disableMemberInvite } } }",
        )
        .await;
    let organizations = &answer["data"]["organizations"];
    assert_eq!(organizations[0]["id"], "Organization:3");
    assert_eq!(organizations[1]["id"], "Organization:20");
    assert_eq!(organizations.as_array().unwrap().len(), 2);
    assert_eq!(
        organizations[0]["flags"],
        json!({
            "earlyAdopter": false, "require2FA": true, "allowJoinleave": false,
            "enhancedPrivacy": false, "disableSharedIssues": false,
            "disableNewVisibilityFeatures": false, "disableMemberProjectCreation": false,
            "preventSuperuserAccess": false, "disableMemberInvite": true,
        })
    );
}

async fn those_on_their_way_out_or_in_can_be_left_out(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let database = &gateway.database;
    let ada = UserId(1);
    for (id, status) in [
        (1, Some(0)),
        (2, Some(1)),
        (3, Some(2)),
        (4, Some(3)),
        (5, None),
        (6, Some(99)),
    ] {
        let organization = database.add_organization(id, "us", status).await;
        database.join(ada, organization).await;
    }
    let answer = gateway
        .ask(
            &token,
            "{ all: organizations(userId: 1) { status }
               some: organizations(userId: 1, onlyVisible: true) { status }
               user(id: 1) { organizations(onlyVisible: true) { id } } }",
        )
        .await;
    assert_eq!(
        answer,
        json!({ "data": {
            "all": [
                { "status": "ACTIVE" }, { "status": "PENDING_DELETION" },
                { "status": "DELETION_IN_PROGRESS" }, { "status": "RELOCATION_PENDING_APPROVAL" },
                { "status": "UNKNOWN" }, { "status": "UNKNOWN" },
            ],
            "some": [{ "status": "ACTIVE" }],
            "user": { "organizations": [{ "id": "Organization:1" }] },
        } })
    );
}

async fn nobody_has_no_organizations(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let answer = gateway
        .ask(&token, r#"{ organizations(userId: "User:99") { id } }"#)
        .await;
    assert_eq!(answer, json!({ "data": { "organizations": [] } }));
}

async fn what_is_no_id_of_a_user_is_refused(engine: Engine) {
    let (gateway, token) = ada(engine).await;
    let wrong = "executed: BAD_USER_INPUT at userId";
    let cases = [
        (
            r#"{ organizations(userId: "Organization:1") { id } }"#,
            wrong,
        ),
        (r#"{ organizations(userId: "") { id } }"#, wrong),
        (
            r#"{ organizations(userId: "User:99999999999999999999") { id } }"#,
            wrong,
        ),
        ("{ organizations { id } }", "GRAPHQL_VALIDATION_FAILED"),
        (
            "{ organizations(userId: null) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ organizations(userId: 1, onlyVisible: null) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            "{ organizations(userId: 1, onlyVisible: 1) { id } }",
            "GRAPHQL_VALIDATION_FAILED",
        ),
        (
            r#"{ organizations(userId: "\u0000") { id } }"#,
            "BAD_USER_INPUT",
        ),
    ];
    assert_outcomes(&gateway, &token, &cases).await;
}
