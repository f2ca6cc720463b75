//! A control silo of Sentry's: what its methods tell, and what is made of it.
//!
//! The stand-in knows Ada (1), who is in the organizations 1 and 2, Grace (2), who is in 1, Alan
//! (3), who is inactive and in none, and Guest-1 (4), who is suspended and in 3.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};
use user_gateway::auth::{Subject, TokenKind, TokenOwner, TokenStore, TokenText};
use user_gateway::domain::{
    Anchor, AuthenticatorFilter, AuthenticatorKind, AvatarKind, Code, Direction, Email, EmailQuery,
    FuzzyUserQuery, NewUser, OptionKey, OptionScope, OptionScopeFilter, OrderField, OrderValue,
    OrganizationId, OrganizationVisibility, PageEnd, PageRequest, PictureUrl, ProjectId, Result,
    SerializeRequest, Serializer, SetOption, SocialAuthQuery, StoredValue, SystemClock, UserFilter,
    UserId, UserOptionFilter, UserOptionId, UserOrder, UserPageQuery, UserUpdate, Username,
    UsernameQuery, Viewer,
};
use user_gateway::rpc::client::{Peer, RemoteTokenStore, RpcClient, remote_services};
use user_gateway::service::Services;

use super::{SECRET, client_with, config};
use crate::harness::at;

const ADA: UserId = UserId(1);
const GRACE: UserId = UserId(2);
const ALAN: UserId = UserId(3);
const GUEST: UserId = UserId(4);
const EVERYBODY: [UserId; 4] = [ADA, GRACE, ALAN, GUEST];

/// The stand-in, which ends with this.
struct Control {
    process: Child,
    client: RpcClient,
    services: Services,
}

impl Control {
    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sentry/control.py");
        let mut process = Command::new("python3")
            .arg(script)
            .arg(SECRET)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = process.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let port = line.trim().strip_prefix("listening ").unwrap();
        let client = client_with(
            &format!("http://127.0.0.1:{port}"),
            config(),
            Arc::new(SystemClock),
        );
        let services = remote_services(&client);
        Self {
            process,
            client,
            services,
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn texts<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(str::to_owned).to_vec()
}

/// The code of a failure.
fn code<T>(result: Result<T>) -> Option<Code> {
    result.err().map(|error| error.code())
}

fn everybody() -> UserFilter {
    UserFilter::ids(&EVERYBODY)
}

#[tokio::test]
#[ignore = "needs Python"]
async fn a_user_is_whole_with_the_time_of_joining_from_the_api_form() {
    let control = Control::start();
    let users = &control.services.users;
    let ada = users.get_user(ADA).await.unwrap().unwrap();
    assert_eq!(control.client.peer(), Peer::Sentry);
    let profile = &ada.profile;
    assert_eq!(
        (&*profile.username, &*profile.name),
        ("ada", "Ada Lovelace")
    );
    assert_eq!(profile.email, "ada@example.com");
    assert_eq!(profile.date_joined, at("2025-03-01T10:00:00.25Z"));
    assert_eq!(profile.last_active, Some(at("2025-06-01T00:00:00Z")));
    assert!(profile.is_superuser && profile.password_usable && profile.flags.is_none());
    assert_eq!(
        ada.role_permissions,
        texts(["options.admin", "users.admin"])
            .into_iter()
            .collect()
    );
    assert_eq!(
        ada.permissions,
        texts(["broadcasts.admin"]).into_iter().collect()
    );
    assert_eq!(ada.avatar.unwrap().kind, AvatarKind::Gravatar);
    assert_eq!(ada.emails.len(), 2);
    assert_eq!(ada.authenticators.len(), 2);
    assert!(
        ada.authenticators
            .iter()
            .all(|factor| factor.config.is_some())
    );

    let asked = [GRACE, UserId(404), ADA, GRACE];
    let found = users.get_many_by_id(&asked).await.unwrap();
    let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
    assert_eq!(found, [GRACE, ADA, GRACE]);
    assert!(users.get_many_by_id(&[]).await.unwrap().is_empty());
}

#[tokio::test]
#[ignore = "needs Python"]
async fn the_parts_of_users_come_from_whole_users() {
    let control = Control::start();
    let users = &control.services.users;
    let ids = [GRACE, ADA, ADA];
    let profiles = users.get_profiles(&ids).await.unwrap();
    assert_eq!(
        profiles.iter().map(|p| p.id).collect::<Vec<_>>(),
        [ADA, GRACE]
    );
    let emails = users.get_emails(&ids).await.unwrap();
    let emails: Vec<_> = emails
        .iter()
        .map(|(id, email)| (*id, &*email.email))
        .collect();
    assert_eq!(
        emails,
        [
            (ADA, "ada@example.com"),
            (ADA, "Ada@Work.example"),
            (GRACE, "grace@example.com"),
            (GRACE, "shared@example.com"),
        ]
    );
    let factors = users.get_authenticators(&ids).await.unwrap();
    let kinds: Vec<_> = factors.iter().map(|factor| factor.kind).collect();
    assert_eq!(
        kinds,
        [AuthenticatorKind::Totp, AuthenticatorKind::Recovery]
    );
    assert!(factors.iter().all(|factor| factor.config.is_none()));
    assert_eq!(users.get_avatars(&ids).await.unwrap().len(), 1);
    assert_eq!(users.get_user_avatar(ADA).await.unwrap().unwrap().id, 5);
    let permissions = users.get_permissions(&ids).await.unwrap();
    assert_eq!(permissions, [(ADA, "broadcasts.admin".to_owned())]);
}

/// Filters, and whom they find.
fn filters() -> Vec<(UserFilter, Vec<UserId>)> {
    let emails = |texts: Vec<String>| UserFilter {
        emails: Some(texts),
        ..UserFilter::default()
    };
    let organization = |id| UserFilter {
        organization_id: Some(OrganizationId(id)),
        ..UserFilter::default()
    };
    let usernames = |texts: Vec<String>| UserFilter {
        usernames: Some(texts),
        ..UserFilter::default()
    };
    let query = |text: &str, filter: UserFilter| UserFilter {
        query: Some(text.to_owned()),
        ..filter
    };
    let all = everybody;
    vec![
        (all(), EVERYBODY.to_vec()),
        (UserFilter::ids(&[]), vec![]),
        (
            UserFilter {
                is_active: Some(false),
                ..all()
            },
            vec![ALAN],
        ),
        (organization(1), vec![ADA, GRACE]),
        (
            UserFilter {
                without_organization: true,
                ..UserFilter::default()
            },
            vec![ALAN],
        ),
        (
            UserFilter {
                without_organization: true,
                ..organization(1)
            },
            vec![],
        ),
        (
            emails(texts(["ADA@work.example", "ada@example.com"])),
            vec![ADA],
        ),
        (emails(vec![]), vec![]),
        (
            UserFilter {
                email_verified: Some(true),
                ..all()
            },
            EVERYBODY.to_vec(),
        ),
        (
            UserFilter {
                email_verified: Some(false),
                ..all()
            },
            vec![ADA],
        ),
        // The address that matches is the one whose state counts.
        (
            UserFilter {
                email_verified: Some(true),
                ..emails(texts(["ada@work.example"]))
            },
            vec![],
        ),
        (
            UserFilter {
                email_verified: Some(false),
                ..emails(texts(["ada@work.example"]))
            },
            vec![ADA],
        ),
        // Sentry drops the condition on usernames without a word.
        (
            usernames(texts(["ada", "ADA", "Guest-1", "guest-1", "nobody"])),
            vec![ADA, GUEST],
        ),
        (
            UserFilter {
                usernames: Some(texts(["ada", "alan"])),
                ..organization(1)
            },
            vec![ADA],
        ),
        (
            UserFilter {
                is_active: Some(true),
                ..usernames(texts(["ada", "alan"]))
            },
            vec![ADA],
        ),
        (usernames(vec![]), vec![]),
        // And it does not search them.
        (query("GUEST-", all()), vec![GUEST]),
        (query("lovelace", all()), vec![ADA]),
        (query("shared@", organization(1)), vec![GRACE]),
        (query("ada", usernames(texts(["ada", "grace"]))), vec![ADA]),
        (
            UserFilter {
                query_spares_usernames: true,
                ..query("GUEST-", all())
            },
            vec![],
        ),
        (
            UserFilter {
                query_spares_usernames: true,
                ..query("grace", all())
            },
            vec![GRACE],
        ),
        (
            UserFilter {
                authenticators: Some(AuthenticatorFilter::None),
                ..organization(1)
            },
            vec![GRACE],
        ),
        (
            UserFilter {
                authenticators: Some(AuthenticatorFilter::AnyOf(vec![
                    AuthenticatorKind::Totp,
                    AuthenticatorKind::Recovery,
                ])),
                ..all()
            },
            vec![ADA],
        ),
    ]
}

#[tokio::test]
#[ignore = "needs Python"]
async fn filters_mean_what_they_mean_everywhere_and_find_nobody_twice() {
    let control = Control::start();
    let users = &control.services.users;
    for (filter, expected) in filters() {
        assert_eq!(
            users.get_many_ids(&filter).await.unwrap(),
            expected,
            "{filter:?}"
        );
        let found = users.get_many(&filter).await.unwrap();
        let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
        assert_eq!(found, expected, "{filter:?}");
        let found = users.get_many_profiles(&filter).await.unwrap();
        let found: Vec<_> = found.iter().map(|profile| profile.id).collect();
        assert_eq!(found, expected, "{filter:?}");
    }
    let unanchored = UserFilter {
        query: Some("ada".to_owned()),
        ..UserFilter::default()
    };
    assert_eq!(
        code(users.get_many(&unanchored).await),
        Some(Code::BadUserInput)
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_serialized_for_whoever_looks() {
    let control = Control::start();
    let users = &control.services.users;
    let request = |filter, as_user, serializer| SerializeRequest {
        filter,
        as_user,
        serializer,
    };
    for (filter, expected) in filters() {
        let asked = request(filter.clone(), None, Serializer::Simple);
        let told = users.serialize_many(&asked).await.unwrap();
        let ids: Vec<_> = told.iter().map(|user| user["id"].clone()).collect();
        let expected: Vec<_> = expected.iter().map(|id| json!(id.to_string())).collect();
        assert_eq!(ids, expected, "{filter:?}");
    }
    let ada = UserFilter::ids(&[ADA]);
    let mine = request(ada.clone(), Some(ADA), Serializer::SelfDetailed);
    let mine = users.serialize_many(&mine).await.unwrap().remove(0);
    assert_eq!(mine["permissions"], json!(["broadcasts.admin"]));
    assert_eq!(mine["emails"].as_array().unwrap().len(), 2);
    let others = request(ada, Some(GRACE), Serializer::SelfDetailed);
    let others = users.serialize_many(&others).await.unwrap().remove(0);
    assert_eq!(
        (&others["permissions"], &others["emails"]),
        (&Value::Null, &json!([]))
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn a_match_by_address_keeps_the_primary_address() {
    let control = Control::start();
    let users = &control.services.users;
    let query = EmailQuery {
        emails: texts(["ada@WORK.example", "ADA@example.com", "alan@example.com"]),
        only_active: true,
        only_verified: false,
        organization_id: None,
    };
    let found = users.get_many_by_email(&query).await.unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|m| (m.user.profile.id, &*m.user.profile.email, &*m.email))
        .collect();
    let primary = "ada@example.com";
    assert_eq!(
        found,
        [(ADA, primary, primary), (ADA, primary, "Ada@Work.example")]
    );
    let in_one = EmailQuery {
        organization_id: Some(OrganizationId(1)),
        only_verified: true,
        ..query
    };
    assert_eq!(users.get_many_by_email(&in_one).await.unwrap().len(), 1);
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_found_by_name_and_by_address() {
    let control = Control::start();
    let users = &control.services.users;
    let query = |username: &str, with_valid_password| UsernameQuery {
        username: username.to_owned(),
        with_valid_password,
        is_active: None,
    };
    for (query, expected) in [
        (query("ADA", true), vec![ADA]),
        (query("alan", true), vec![]),
        (query("alan", false), vec![ALAN]),
        (query("Grace@example.com", true), vec![GRACE]),
        (query("nobody", true), vec![]),
    ] {
        let found = users.get_by_username(&query).await.unwrap();
        let found: Vec<_> = found.iter().map(|user| user.profile.id).collect();
        assert_eq!(found, expected, "{query:?}");
    }
    let asked = texts(["grace", "nobody", "ada", "GRACE", "grace"]);
    let existing = users.get_existing_usernames(&asked).await.unwrap();
    assert_eq!(existing, ["grace", "ada"]);
    let by_email = async |email: &str| {
        let user = users.get_user_by_email(email, Some("ident")).await.unwrap();
        user.map(|user| (user.id, user.date_joined.to_rfc3339()))
    };
    let joined = "2025-02-01T00:00:00+00:00".to_owned();
    assert_eq!(by_email("GRACE@example.com").await, Some((GRACE, joined)));
    assert_eq!(by_email("alan@example.com").await, None);
    let superuser = users.get_first_superuser().await.unwrap().unwrap();
    assert_eq!(superuser.id, ADA);
    let social = |organization, uid: &str| SocialAuthQuery {
        organization_id: OrganizationId(organization),
        provider: "github".to_owned(),
        uid: uid.to_owned(),
    };
    let found = users
        .get_user_by_social_auth(&social(1, "1234"))
        .await
        .unwrap();
    assert_eq!(found.map(|user| user.id), Some(GRACE));
    for wrong in [social(2, "1234"), social(1, "123")] {
        assert!(
            users
                .get_user_by_social_auth(&wrong)
                .await
                .unwrap()
                .is_none()
        );
    }
    // An older Sentry does not have this at all.
    let fuzzy = FuzzyUserQuery {
        organization_id: OrganizationId(1),
        email: Some("ada@example.com".to_owned()),
        name: None,
    };
    assert_eq!(
        code(users.resolve_fuzzy_user(&fuzzy).await),
        Some(Code::NotSupported)
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_created_once() {
    let control = Control::start();
    let users = &control.services.users;
    let new = NewUser {
        email: Email::parse("New.One@example.com", &[]).unwrap(),
        ident: None,
        referrer: None,
        idempotency_key: None,
    };
    let first = users.get_or_create_by_email(&new).await.unwrap();
    assert!(first.created && first.user.username.starts_with("newone-"));
    let second = users.get_or_create_by_email(&new).await.unwrap();
    assert_eq!((second.created, second.user.id), (false, first.user.id));

    let created = users
        .create_by_username_and_email("fresh", "fresh@example.com")
        .await;
    assert_eq!(created.unwrap().email, "fresh@example.com");
    let taken = users
        .create_by_username_and_email("fresh", "other@example.com")
        .await;
    assert_eq!(code(taken), Some(Code::BadUserInput));
}

#[tokio::test]
#[ignore = "needs Python"]
async fn users_are_changed_as_far_as_sentry_changes_them() {
    let control = Control::start();
    let users = &control.services.users;
    let update = UserUpdate {
        is_active: Some(false),
        avatar_type: Some(AvatarKind::Gravatar),
        avatar_url: Some(Some(
            PictureUrl::parse("https://example.com/a.png", &[]).unwrap(),
        )),
        ..UserUpdate::default()
    };
    let grace = users.update_user(GRACE, &update).await.unwrap().unwrap();
    assert!(!grace.is_active);
    let removal = UserUpdate {
        avatar_url: Some(None),
        ..UserUpdate::default()
    };
    assert!(users.update_user(GRACE, &removal).await.unwrap().is_some());
    assert!(
        users
            .update_user(GRACE, &UserUpdate::default())
            .await
            .unwrap()
            .is_some()
    );
    assert_eq!(users.update_user(UserId(404), &update).await.unwrap(), None);
    assert_eq!(
        users
            .update_user(UserId(404), &UserUpdate::default())
            .await
            .unwrap(),
        None
    );
    let rename = UserUpdate {
        is_active: Some(true),
        username: Some(Username::parse("amazing", &[]).unwrap()),
        ..UserUpdate::default()
    };
    assert_eq!(
        code(users.update_user(GRACE, &rename).await),
        Some(Code::NotSupported)
    );
    assert!(
        !users
            .get_user(GRACE)
            .await
            .unwrap()
            .unwrap()
            .profile
            .is_active
    );

    assert!(
        users
            .verify_user_email(ADA, "ada@work.EXAMPLE")
            .await
            .unwrap()
    );
    assert!(
        !users
            .verify_user_email(ADA, "ada@work.example")
            .await
            .unwrap()
    );
    assert!(!users.verify_any_email("nobody@example.com").await.unwrap());
    let pairs = [
        (ADA, "grace@example.com".to_owned()),
        (ADA, "ADA@example.com".to_owned()),
    ];
    let owned = users.verify_user_emails(&pairs, true).await.unwrap();
    assert_eq!(owned.len(), 1);
    assert!(owned[&ADA].exists && owned[&ADA].email == "ADA@example.com");

    assert!(users.add_permission(GRACE, "users.admin").await.unwrap());
    assert!(!users.add_permission(GRACE, "users.admin").await.unwrap());
    assert!(users.remove_permission(GRACE, "users.admin").await.unwrap());
    assert!(!users.remove_permission(GRACE, "users.admin").await.unwrap());
    assert_eq!(
        code(users.add_permission(UserId(404), "users.admin").await),
        Some(Code::InternalServerError)
    );
    users.flush_nonce(ADA).await.unwrap();
    let ada = users.get_user(ADA).await.unwrap().unwrap();
    assert_eq!(ada.profile.session_nonce.unwrap().expose(), "foo");
    users
        .trigger_user_consent_email_if_applicable(ADA)
        .await
        .unwrap();
    assert!(
        users
            .trigger_user_consent_email_if_applicable(UserId(404))
            .await
            .is_err()
    );
}

fn page(filter: UserFilter, viewer: Viewer) -> UserPageQuery {
    UserPageQuery {
        filter,
        order: UserOrder::default(),
        page: PageRequest {
            after: None,
            before: None,
            end: PageEnd::First,
            size: 2,
        },
        viewer,
    }
}

async fn ids(control: &Control, query: &UserPageQuery) -> (Vec<UserId>, bool, bool) {
    let page = control.services.users.page(query).await.unwrap();
    let ids = page.rows.iter().map(|profile| profile.id).collect();
    (ids, page.has_previous, page.has_next)
}

#[tokio::test]
#[ignore = "needs Python"]
async fn pages_are_cut_from_lists_that_something_bounds() {
    let control = Control::start();
    let mut query = page(everybody(), Viewer::All);
    assert_eq!(ids(&control, &query).await, (vec![ADA, GRACE], false, true));
    assert_eq!(control.services.users.count(&query).await.unwrap(), 4);
    query.page.after = Some(Anchor {
        value: OrderValue::Id,
        id: 2,
    });
    assert_eq!(
        ids(&control, &query).await,
        (vec![ALAN, GUEST], true, false)
    );
    query.order.direction = Direction::Descending;
    assert_eq!(ids(&control, &query).await, (vec![ADA], true, false));

    query = page(everybody(), Viewer::All);
    query.order.field = OrderField::DateJoined;
    query.page.end = PageEnd::Last;
    assert_eq!(ids(&control, &query).await, (vec![GRACE, ADA], true, false));
    let value = OrderValue::DateJoined(at("2025-01-01T00:00:00Z"));
    query.page.after = Some(Anchor { value, id: 3 });
    query.page.end = PageEnd::First;
    assert_eq!(
        ids(&control, &query).await,
        (vec![GUEST, GRACE], true, true)
    );

    query.order.field = OrderField::Username;
    query.page.after = None;
    let users = &control.services.users;
    assert_eq!(code(users.page(&query).await), Some(Code::NotSupported));
    let unbounded = page(UserFilter::default(), Viewer::All);
    assert_eq!(code(users.page(&unbounded).await), Some(Code::NotSupported));
    assert_eq!(
        code(users.count(&unbounded).await),
        Some(Code::NotSupported)
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn pages_show_whom_the_viewer_may_see() {
    let control = Control::start();
    let seen = async |filter: UserFilter, viewer| {
        let mut query = page(filter, viewer);
        query.page.size = 10;
        let (ids, ..) = ids(&control, &query).await;
        let count = control.services.users.count(&query).await.unwrap();
        assert_eq!(u64::try_from(ids.len()).unwrap(), count);
        ids
    };
    let all = everybody;
    assert_eq!(seen(all(), Viewer::Public(None)).await, EVERYBODY);
    assert_eq!(seen(all(), Viewer::Member(GRACE)).await, [ADA, GRACE]);
    assert_eq!(seen(all(), Viewer::Member(ALAN)).await, [ALAN]);
    assert_eq!(seen(all(), Viewer::Alone(GRACE)).await, [GRACE]);
    assert_eq!(
        seen(UserFilter::default(), Viewer::Alone(GRACE)).await,
        [GRACE]
    );

    let emails = UserFilter {
        emails: Some(texts(["ada@example.com", "grace@example.com"])),
        ..UserFilter::default()
    };
    assert_eq!(seen(emails.clone(), Viewer::All).await, [ADA, GRACE]);
    assert_eq!(seen(emails.clone(), Viewer::Member(GRACE)).await, [GRACE]);
    assert_eq!(seen(emails.clone(), Viewer::Public(Some(ADA))).await, [ADA]);
    assert_eq!(seen(emails, Viewer::Public(None)).await, []);

    // Addresses are searched of the viewer alone; names of everybody.
    let search = |text: &str| UserFilter {
        query: Some(text.to_owned()),
        ..all()
    };
    assert_eq!(seen(search("@example"), Viewer::All).await, EVERYBODY);
    assert_eq!(
        seen(search("@example"), Viewer::Public(Some(GRACE))).await,
        [GRACE]
    );
    assert_eq!(seen(search("@example"), Viewer::Public(None)).await, []);
    assert_eq!(seen(search("lovelace"), Viewer::Member(GRACE)).await, [ADA]);
}

#[tokio::test]
#[ignore = "needs Python"]
async fn organizations_are_told_user_by_user() {
    let control = Control::start();
    let organizations = &control.services.organizations;
    let memberships = async |ids: &[UserId], visibility| {
        let found = organizations
            .get_memberships(ids, visibility)
            .await
            .unwrap();
        found
            .iter()
            .map(|m| (m.user_id, m.organization.id.0))
            .collect::<Vec<_>>()
    };
    let asked = [GUEST, ADA, ALAN, UserId(404), ADA];
    assert_eq!(
        memberships(&asked, OrganizationVisibility::Any).await,
        [(ADA, 1), (ADA, 2), (GUEST, 3)]
    );
    assert_eq!(
        memberships(&asked, OrganizationVisibility::OnlyVisible).await,
        [(ADA, 1), (GUEST, 3)]
    );
    let own = organizations
        .get_organizations(ADA, OrganizationVisibility::Any)
        .await
        .unwrap();
    assert!(own[0].flags.require_2fa && !own[0].flags.early_adopter);
    assert_eq!(
        organizations.get_member_region_names(ADA).await.unwrap(),
        ["de", "us"]
    );
    assert_eq!(
        organizations.get_joined(ADA).await.unwrap(),
        [1, 2].map(OrganizationId)
    );
    let colleagues = organizations
        .get_colleagues(GRACE, &[GUEST, ADA, ALAN])
        .await
        .unwrap();
    assert_eq!(colleagues, [ADA]);
    let ids = [OrganizationId(1)];
    let all = PageRequest {
        after: None,
        before: None,
        end: PageEnd::First,
        size: 1,
    };
    for refused in [
        code(organizations.get_many_by_id(&ids).await),
        code(organizations.get_by_slug("org-1").await),
        code(organizations.get_members(&ids, &all).await),
        code(organizations.count_members(&ids).await),
        code(control.services.users.get_roles(&[ADA]).await),
        code(control.services.users.get_identities(&[ADA]).await),
    ] {
        assert_eq!(refused, Some(Code::NotSupported));
    }
}

#[tokio::test]
#[ignore = "needs Python"]
async fn options_are_read_by_scope_and_changed_with_a_look_before_and_after() {
    let control = Control::start();
    let options = &control.services.user_options;
    let filter = |scope| UserOptionFilter {
        user_ids: vec![GRACE, ADA],
        keys: None,
        scope,
    };
    let found = async |filter: &UserOptionFilter| {
        let found = options.get_many(filter).await.unwrap();
        found.iter().map(|option| option.id.0).collect::<Vec<_>>()
    };
    let global = filter(OptionScopeFilter::Exactly(OptionScope::GLOBAL));
    // Of two that stand for one the newest counts.
    assert_eq!(found(&global).await, [2, 5]);
    let of_projects = filter(OptionScopeFilter::Projects(vec![ProjectId(42)]));
    assert_eq!(found(&of_projects).await, [3]);
    let keys = UserOptionFilter {
        keys: Some(texts(["theme"])),
        ..global.clone()
    };
    assert_eq!(found(&keys).await, [2]);
    let one = OptionScope::organization(OrganizationId(1));
    assert_eq!(found(&filter(OptionScopeFilter::Exactly(one))).await, [4]);

    let set = |value: Value| SetOption {
        user_id: GRACE,
        key: OptionKey::parse("timezone", &[]).unwrap(),
        value,
        scope: OptionScope::GLOBAL,
    };
    for (value, changed) in [
        (json!(null), false),
        (json!("UTC"), true),
        (json!("UTC"), false),
    ] {
        let result = options.set_option(&set(value.clone())).await.unwrap();
        assert_eq!(
            (result.changed, result.option.id),
            (changed, UserOptionId(5)),
            "{value}"
        );
        assert_eq!(result.option.value, StoredValue::Json(value));
    }
    let new = SetOption {
        scope: OptionScope::project(ProjectId(7)),
        ..set(json!([1]))
    };
    let result = options.set_option(&new).await.unwrap();
    assert!(result.changed && result.option.scope.project_id == Some(ProjectId(7)));
    let nobody = SetOption {
        user_id: UserId(404),
        ..new
    };
    assert_eq!(
        code(options.set_option(&nobody).await),
        Some(Code::InternalServerError)
    );

    let deleted = options
        .delete_options(&[UserOptionId(5), UserOptionId(2)])
        .await
        .unwrap();
    assert_eq!(deleted, [2, 5].map(UserOptionId));
    assert_eq!(found(&global).await, [1]);
    assert_eq!(
        code(options.get_all(&[ADA]).await),
        Some(Code::NotSupported)
    );
    assert_eq!(
        code(options.get_many_by_id(&[UserOptionId(1)]).await),
        Some(Code::NotSupported)
    );
}

#[tokio::test]
#[ignore = "needs Python"]
async fn an_identity_provider_names_users_and_no_token_is_looked_up() {
    let control = Control::start();
    let tokens = RemoteTokenStore::new(control.client.clone());
    let owner = async |subject| tokens.find_owner(&subject).await.unwrap();
    let active = async |subject| match owner(subject).await {
        Some(TokenOwner::User { id, is_active, .. }) => Some((id, is_active)),
        _ => None,
    };
    let email = |email: &str| Subject::Email(email.to_owned());
    assert_eq!(active(Subject::Id(ADA)).await, Some((ADA, true)));
    assert_eq!(active(Subject::Id(ALAN)).await, Some((ALAN, false)));
    // Who is suspended may not act either.
    assert_eq!(active(Subject::Id(GUEST)).await, Some((GUEST, false)));
    assert_eq!(active(Subject::Id(UserId(404))).await, None);
    assert_eq!(
        active(email("GRACE@example.com")).await,
        Some((GRACE, true))
    );
    // An address that is not the primary one names nobody.
    assert_eq!(active(email("shared@example.com")).await, None);
    assert_eq!(active(email("alan@example.com")).await, None);
    let text = TokenText::generate(TokenKind::User);
    let error = tokens.find(&text).await.unwrap_err();
    assert_eq!(error.code(), Code::NotSupported);
    assert!(error.to_string().contains("identity provider"), "{error}");
}
