//! Organizations, and members of them whom hints point to, over the wire.

use serde_json::json;

use super::Control;

#[tokio::test]
async fn organizations_are_told_of_as_sentry_maps_them() {
    let control = Control::start().await;
    let db = &control.db;
    let ada = db.add_user("ada").await;
    for (id, region, status) in [(7, "us", Some(0)), (8, "de", Some(1)), (9, "us", None)] {
        let organization = db.add_organization(id, region, status).await;
        db.add_membership(organization, Some(ada), "member", Some(1))
            .await;
    }
    db.execute(
        "UPDATE sentry_organizationmapping SET require_2fa = true, customer_id = 'c' \
         WHERE organization_id = 7",
    )
    .await;
    let flags = json!({
        "early_adopter": false,
        "require_2fa": true,
        "allow_joinleave": false,
        "enhanced_privacy": false,
        "disable_shared_issues": false,
        "disable_new_visibility_features": false,
        "disable_member_project_creation": false,
        "prevent_superuser_access": false,
        "disable_member_invite": false,
    });
    let first = json!({
        "id": 7,
        "slug": "org-7",
        "name": "Organization 7",
        "region_name": "us",
        "date_created": "2025-01-01T00:00:00Z",
        "verified": false,
        "customer_id": "c",
        "status": 0,
        "flags": flags,
    });
    let method = "user/get_organizations";
    let args = json!({ "user_id": ada, "only_visible": true });
    assert_eq!(control.value(method, args.clone()).await, json!([first]));
    assert_eq!(control.told(method, args).await, json!([first]));
    let all = control.value(method, json!({ "user_id": ada })).await;
    let statuses: Vec<_> = all
        .as_array()
        .unwrap()
        .iter()
        .map(|o| &o["status"])
        .collect();
    assert_eq!(json!(statuses), json!([0, 1, null]));
    for nobody in [json!(null), json!(404)] {
        assert_eq!(
            control.value(method, json!({ "user_id": nobody })).await,
            json!([])
        );
    }
    for method in ["user/get_member_cell_names", "user/get_member_region_names"] {
        let names = control.value(method, json!({ "user_id": ada })).await;
        assert_eq!(names, json!(["de", "us"]), "{method}");
    }
}

#[tokio::test]
async fn hints_point_to_a_member() {
    let control = Control::start().await;
    let ada = control.db.add_user("ada").await;
    let organization = control.db.add_organization(7, "us", Some(0)).await;
    control.db.join(ada, organization).await;
    let method = "user/resolve_fuzzy_user";
    for (args, expected) in [
        (
            json!({ "organization_id": 7, "email": "ada@other.example" }),
            json!(ada),
        ),
        (
            json!({ "organization_id": 7, "email": null, "name": "Ada Lovelace" }),
            json!(null),
        ),
        (
            json!({ "organization_id": 8, "email": "ada@other.example" }),
            json!(null),
        ),
        (json!({ "organization_id": 7 }), json!(null)),
    ] {
        assert_eq!(control.value(method, args).await, expected);
    }
}
