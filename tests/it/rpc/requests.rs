//! Calls as this side writes them, and values as they come back.

use serde::Serialize;
use serde_json::{Value, from_value, json};
use user_gateway::domain::{
    AuthenticatorFilter, AuthenticatorKind, OptionScope, OptionScopeFilter, OrganizationId,
    ProjectId, UserFilter, UserId, UserOptionFilter, UserUpdate, Username,
};
use user_gateway::rpc::Call;
use user_gateway::rpc::wire::caching::ClearRegionKey;
use user_gateway::rpc::wire::gateway::{GatewayUpdateArgs, PageUsers, UpdateUser};
use user_gateway::rpc::wire::user::{
    GetFirstSuperuser, GetMany, GetManyByEmail, SerializeMany, UpdateUser as SentryUpdateUser,
};
use user_gateway::rpc::wire::{
    Key, Meta, Request, RpcOrganizationMapping, RpcUser, UserFilterArgs, UserOptionFilterArgs,
};

use crate::harness::at;

fn filter_args(filter: &UserFilter) -> Value {
    json!(UserFilterArgs::from(filter))
}

/// The request of a call, as it goes over the wire between Sentry's silos.
fn request<C: Call>(call: C) -> String {
    let request = Request {
        meta: Meta::default(),
        args: call,
    };
    serde_json::to_string(&request).unwrap()
}

#[test]
fn every_argument_is_sent_and_nothing_is_between() {
    let call = GetMany {
        filter: UserFilterArgs::from(&UserFilter::ids(&[UserId(1)])),
    };
    let body = r#"{"meta":{},"args":{"filter":{"user_ids":[1]}}}"#;
    assert_eq!(request(call), body);
    assert_eq!(GetMany::path(), "/api/0/internal/rpc/user/get_many/");
    assert_eq!(request(GetFirstSuperuser {}), r#"{"meta":{},"args":{}}"#);
    let call = GetManyByEmail {
        emails: vec!["a@b.c".to_owned()],
        is_active: true,
        is_verified: false,
        organization_id: None,
    };
    let args = json!({
        "emails": ["a@b.c"],
        "is_active": true,
        "is_verified": false,
        "organization_id": null,
    });
    assert_eq!(json!(call), args);
    let clear = ClearRegionKey::new("us", "key".to_owned());
    let args = json!({ "cell_name": "us", "region_name": "us", "key": "key" });
    assert_eq!(json!(clear), args);
}

#[test]
fn times_in_a_request_have_all_their_digits() {
    let mut user = RpcUser::default();
    user.profile.last_active = Some(at("2025-01-02T03:04:05Z").into());
    assert_eq!(json!(user)["last_active"], "2025-01-02T03:04:05Z");
    let call = SerializeMany {
        filter: UserFilterArgs::default(),
        as_user: Some(Box::new(user)),
        auth_context: None,
        serializer: None,
    };
    let args = json!(call);
    assert_eq!(
        args["as_user"]["last_active"],
        "2025-01-02T03:04:05.000000Z"
    );
    assert_eq!(args["auth_context"], json!(null));
    assert_eq!(args["serializer"], json!(null));
    let again: SerializeMany = from_value(args).unwrap();
    assert_eq!(again, call);
}

#[test]
fn a_filter_has_the_keys_that_it_needs() {
    let nothing = UserFilter::default();
    let with = |change: fn(&mut UserFilter)| {
        let mut filter = UserFilter::default();
        change(&mut filter);
        filter
    };
    for (filter, expected) in [
        (nothing, json!({})),
        (
            with(|f| f.user_ids = Some(vec![])),
            json!({ "user_ids": [] }),
        ),
        (
            with(|f| f.is_active = Some(false)),
            json!({ "is_active": false }),
        ),
        (
            with(|f| f.organization_id = Some(OrganizationId(7))),
            json!({ "organization_id": 7 }),
        ),
        (
            with(|f| f.without_organization = true),
            json!({ "organization_id": null }),
        ),
        (
            with(|f| f.email_verified = Some(true)),
            json!({ "email_verified": true }),
        ),
        (
            with(|f| f.emails = Some(vec!["a".to_owned()])),
            json!({ "emails": ["a"] }),
        ),
        (
            with(|f| f.usernames = Some(vec!["a".to_owned()])),
            json!({ "usernames": ["a"] }),
        ),
        (
            with(|f| f.query = Some("q".to_owned())),
            json!({ "query": "q", "query_usernames": true }),
        ),
        (
            with(|f| {
                f.query = Some("q".to_owned());
                f.query_spares_usernames = true;
            }),
            json!({ "query": "q" }),
        ),
        (
            with(|f| f.authenticators = Some(AuthenticatorFilter::None)),
            json!({ "authenticator_types": null }),
        ),
        (
            with(|f| {
                let kinds = vec![AuthenticatorKind::Totp, AuthenticatorKind::Unknown(9)];
                f.authenticators = Some(AuthenticatorFilter::AnyOf(kinds));
            }),
            json!({ "authenticator_types": [1, 9] }),
        ),
    ] {
        assert_eq!(filter_args(&filter), expected);
        let read: UserFilterArgs = from_value(expected).unwrap();
        assert_eq!(read.into_domain().unwrap(), Some(filter));
    }
}

#[test]
fn a_filter_of_options_says_which_scope() {
    let projects = OptionScopeFilter::Projects(vec![ProjectId(5)]);
    let organization = OptionScope::organization(OrganizationId(7));
    for (keys, scope, expected) in [
        (
            None,
            OptionScopeFilter::Exactly(OptionScope::GLOBAL),
            json!({ "user_ids": [1] }),
        ),
        (
            Some(vec![]),
            OptionScopeFilter::Exactly(organization),
            json!({ "user_ids": [1], "organization_id": 7, "keys": [] }),
        ),
        (
            Some(vec!["theme".to_owned()]),
            projects,
            json!({ "user_ids": [1], "project_ids": [5], "keys": ["theme"] }),
        ),
    ] {
        let filter = UserOptionFilter {
            user_ids: vec![UserId(1)],
            keys,
            scope,
        };
        assert_eq!(json!(UserOptionFilterArgs::from(&filter)), expected);
        let read: UserOptionFilterArgs = from_value(expected).unwrap();
        assert_eq!(UserOptionFilter::try_from(read).unwrap(), filter);
    }
}

#[test]
fn a_change_says_what_stays_by_silence() {
    let update = UserUpdate {
        username: Some(Username::parse("ada", &[]).unwrap()),
        avatar_url: Some(None),
        ..UserUpdate::default()
    };
    let attrs = GatewayUpdateArgs::from(&update);
    let expected = json!({ "username": "ada", "avatar_url": null });
    assert_eq!(json!(attrs), expected);
    let call: UpdateUser = from_value(json!({ "user_id": 1, "attrs": expected })).unwrap();
    assert_eq!(UserUpdate::try_from(call.attrs).unwrap(), update);
    let call: SentryUpdateUser =
        from_value(json!({ "user_id": 1, "attrs": { "avatar_url": null } })).unwrap();
    assert_eq!(call.attrs.avatar_url, Key::Null);
    assert_eq!(json!(call.attrs), json!({ "avatar_url": null }));
}

#[test]
fn what_a_model_lacks_is_what_sentry_takes_for_it() {
    let user: RpcUser = from_value(json!({ "id": 7, "username": "ada", "new": 1 })).unwrap();
    assert_eq!(user.profile.pk, UserId(-1));
    assert!(user.authenticators.is_empty() && user.profile.date_joined.is_none());
    let joined = at("2025-01-02T03:04:05Z");
    let profile = user.profile.into_domain(joined);
    assert_eq!((profile.date_joined, profile.flags), (joined, None));
    let factor = json!({ "authenticators": [{}] });
    let user: RpcUser = from_value(factor).unwrap();
    let created_at = json!(user.authenticators[0])["created_at"].take();
    assert_eq!(created_at, "2000-01-01T00:00:00Z");
}

#[test]
fn a_region_is_read_by_either_of_its_names() {
    for mapping in [
        json!({ "id": 7, "region_name": "us" }),
        json!({ "id": 7, "cell_name": "us" }),
        json!({ "id": 7, "cell_name": "us", "region_name": "us" }),
    ] {
        let mapping: RpcOrganizationMapping = from_value(mapping).unwrap();
        let organization = user_gateway::domain::Organization::from(mapping);
        assert_eq!(organization.region_name, "us");
    }
}

#[test]
fn what_may_be_repeated_is_said() {
    fn is_repeatable<C: Call + Serialize>() -> bool {
        C::REPEATABLE
    }
    use user_gateway::rpc::wire::{gateway, user};
    assert!(is_repeatable::<PageUsers>() && is_repeatable::<GetMany>());
    assert!(is_repeatable::<user::GetOrCreateByEmail>());
    assert!(!is_repeatable::<user::CreateByUsernameAndEmail>());
    // Their answers say whether the call changed anything.
    assert!(!is_repeatable::<user::VerifyUserEmail>());
    assert!(is_repeatable::<gateway::SetUserOption>());
    assert!(!is_repeatable::<gateway::DeleteUserOptions>());
}
