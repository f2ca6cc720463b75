//! Every method that reads, on tables that somebody else made.

use serde_json::json;
use user_gateway::database::{Facts, Ownership, seed};
use user_gateway::domain::{
    AuthenticatorFilter, AuthenticatorKind, AvatarKind, EmailQuery, Error, JsonText, OptionScope,
    OptionScopeFilter, OrderField, OrganizationId,
    OrganizationVisibility::{Any, OnlyVisible},
    PageEnd, PageRequest, ProjectId, SerializeRequest, Serializer, SocialAuthQuery, StoredValue,
    UserFilter, UserId, UserOptionFilter, UserOptionId, UserOrder, UserPageQuery, UsernameQuery,
    Viewer,
};

use super::Form;
use super::snapshot::Snapshot;
use crate::harness::TestDatabase;

const ADA: UserId = UserId(2);
const GRACE: UserId = UserId(3);

fn user_ids<const N: usize>(ids: [i64; N]) -> Vec<UserId> {
    ids.map(UserId).to_vec()
}

fn everybody() -> Vec<UserId> {
    (1..=12).map(UserId).collect()
}

async fn named(db: &TestDatabase, username: &str) -> Vec<UserId> {
    let query = UsernameQuery {
        username: username.to_owned(),
        with_valid_password: true,
        is_active: None,
    };
    let users = db.users().get_by_username(&query).await.unwrap();
    users.iter().map(|user| user.profile.id).collect()
}

async fn searched(db: &TestDatabase, query: &str) -> Vec<UserId> {
    let query = UserPageQuery {
        filter: UserFilter {
            query: Some(query.to_owned()),
            ..UserFilter::default()
        },
        ..all(OrderField::Id, 100)
    };
    let page = db.users().page(&query).await.unwrap();
    page.rows.iter().map(|user| user.id).collect()
}

fn all(field: OrderField, size: u32) -> UserPageQuery {
    UserPageQuery {
        filter: UserFilter::default(),
        order: UserOrder {
            field,
            ..UserOrder::default()
        },
        page: PageRequest {
            after: None,
            before: None,
            end: PageEnd::First,
            size,
        },
        viewer: Viewer::All,
    }
}

async fn global_options(db: &TestDatabase) -> Vec<(i64, StoredValue)> {
    let filter = UserOptionFilter {
        user_ids: everybody(),
        keys: None,
        scope: OptionScopeFilter::Exactly(OptionScope::GLOBAL),
    };
    let options = db.options().get_many(&filter).await.unwrap();
    options
        .into_iter()
        .map(|option| (option.id.0, option.value))
        .collect()
}

existing! {
    async fn accounts_of_other_services_are_found(db: &TestDatabase, _form: Form) {
        let query = SocialAuthQuery {
            organization_id: OrganizationId(101),
            provider: "github".to_owned(),
            uid: "1815".to_owned(),
        };
        let found = db.users().get_user_by_social_auth(&query).await.unwrap();
        assert_eq!(found.map(|user| user.id), Some(ADA));
    }

    async fn the_tables_are_known_for_what_they_are(db: &TestDatabase, form: Form) {
        let facts = Facts::read(db.connection()).await.unwrap();
        assert_eq!(facts.ownership, Ownership::Theirs);
        assert_eq!(facts.option_value_is_text, form.is_old());
        assert_eq!(facts.has_email_unique, !form.is_old());
        assert_eq!(facts.has_is_suspended, !form.is_old());
        assert_eq!(facts.email_max_chars, if form.is_old() { 75 } else { 200 });
        assert!(facts.has_api_application && !facts.has_service_token);
        let result = seed(db.database(), std::iter::empty(), |_| {}).await;
        assert!(matches!(result, Err(Error::Conflict(_))), "{result:?}");
    }

    async fn users_are_read_with_all_that_is_theirs(db: &TestDatabase, form: Form) {
        let users = db.users().get_many(&UserFilter::ids(&everybody())).await.unwrap();
        assert_eq!(users.iter().map(|u| u.profile.id).collect::<Vec<_>>(), everybody());
        let user = |id: usize| &users[id - 1];

        let ada = user(2);
        assert_eq!(ada.profile.session_nonce.as_ref().unwrap().expose(), "nonceforada1");
        assert_eq!(ada.verified_emails().into_iter().collect::<Vec<_>>(), ["ada@example.com"]);
        assert_eq!(ada.emails.len(), 2);
        assert_eq!(
            ada.role_permissions.iter().collect::<Vec<_>>(),
            ["broadcasts.admin", "options.admin", "users.admin"],
        );
        assert_eq!(ada.permissions.iter().collect::<Vec<_>>(), ["relocation.admin"]);
        let kinds: Vec<_> = ada.authenticators.iter().map(|a| a.kind).collect();
        assert_eq!(kinds, [AuthenticatorKind::Totp, AuthenticatorKind::Recovery]);
        let config = ada.authenticators[0].config.as_ref().unwrap();
        assert_eq!(config.expose()["secret"], "JBSWY3DPEHPK3PXP");
        assert_eq!(ada.avatar.as_ref().unwrap().kind, AvatarKind::Gravatar);

        // Old tables hold pickled settings, which are not guessed at.
        let config = user(3).authenticators[0].config.as_ref();
        assert_eq!(config.map(|c| c.expose().clone()), (!form.is_old()).then(|| json!({})));
        assert!(user(3).role_permissions.is_empty());
        assert_eq!(user(3).avatar.as_ref().unwrap().file_id, Some(77));
        assert!(user(3).profile.flags.unwrap().newsletter_consent_prompt);

        assert!(!user(4).profile.is_active);
        let usable: Vec<_> = [1, 5, 6].map(|id| user(id).profile.password_usable).to_vec();
        assert_eq!(usable, [true, false, false]);
        assert!(!user(8).profile.flags.unwrap().newsletter_consent_prompt);
        assert!(user(9).profile.is_sentry_app && user(9).emails.is_empty());
        assert_eq!(user(10).profile.name, "");
        assert_eq!(user(10).profile.display_name(), "noname@example.com");
        assert_eq!(db.users().get_user(UserId(13)).await.unwrap(), None);
    }

    async fn users_are_found_by_address_and_name(db: &TestDatabase, _form: Form) {
        assert_eq!(named(db, "casey").await, user_ids([12]));
        assert_eq!(named(db, "CASEY").await, user_ids([11, 12]));
        // Account 5 has the mark of an unusable password.
        assert_eq!(named(db, "SHARED@example.com").await, user_ids([6]));
        for (ident, expected) in [(None, 5), (Some("shared-ident"), 5), (Some("x"), 5)] {
            let found = db.users().get_user_by_email("SHARED@example.com", ident).await.unwrap();
            assert_eq!(found.unwrap().id, UserId(expected));
        }
        assert_eq!(db.users().get_user_by_email("inactive@example.com", None).await.unwrap(), None);

        let query = EmailQuery {
            emails: vec!["ADA@example.com".into(), "ada.ALT@example.com".into()],
            only_active: true,
            only_verified: false,
            organization_id: Some(OrganizationId(101)),
        };
        let matches = db.users().get_many_by_email(&query).await.unwrap();
        let matches: Vec<_> =
            matches.iter().map(|m| (m.user.profile.id, m.email.as_str())).collect();
        assert_eq!(matches, [(ADA, "ada@example.com"), (ADA, "ADA.alt@Example.com")]);

        for (query, expected) in [
            ("JÖRG", user_ids([7])),
            ("exÄMPLE", user_ids([7])),
            ("lovelace", user_ids([2])),
            ("sample-app", user_ids([9])),
            ("noname", user_ids([10])),
            ("%", vec![]),
        ] {
            assert_eq!(searched(db, query).await, expected, "{query}");
        }
        let filter = UserFilter {
            organization_id: Some(OrganizationId(101)),
            authenticators: Some(AuthenticatorFilter::None),
            email_verified: Some(true),
            is_active: Some(true),
            ..UserFilter::default()
        };
        let found = db.users().get_many_ids(&filter).await.unwrap();
        assert_eq!(found, user_ids([1, 5, 10, 11, 12]));

        let asked = ["casey", "CASEY", "inactive", "nobody"].map(str::to_owned);
        let existing = db.users().get_existing_usernames(asked.to_vec()).await.unwrap();
        assert_eq!(existing, ["casey", "inactive"]);
        assert_eq!(db.users().get_first_superuser().await.unwrap().unwrap().id, UserId(1));
        let asked = [(ADA, "ada.alt@example.com".to_owned())];
        assert!(db.users().verify_user_emails(&asked, false).await.unwrap()[&ADA].exists);
        assert!(!db.users().verify_user_emails(&asked, true).await.unwrap()[&ADA].exists);
    }

    async fn pages_and_parts_are_read(db: &TestDatabase, _form: Form) {
        let users = db.users();
        for field in [OrderField::Id, OrderField::Username, OrderField::DateJoined] {
            let query = all(field, 5);
            let page = users.page(&query).await.unwrap();
            assert_eq!((page.rows.len(), page.has_next), (5, true));
            assert_eq!(users.count(&query).await.unwrap(), 12);
        }
        let ids = everybody();
        assert_eq!(users.get_profiles(&ids).await.unwrap().len(), 12);
        assert_eq!(users.get_avatars(&ids).await.unwrap().len(), 2);
        assert_eq!(users.get_emails(&ids).await.unwrap().len(), 12);
        assert_eq!(users.get_authenticators(&ids).await.unwrap().len(), 3);
        assert_eq!(users.get_roles(&ids).await.unwrap().len(), 3);
        assert_eq!(users.get_permissions(&ids).await.unwrap().len(), 3);
        let identities = users.get_identities(&ids).await.unwrap();
        let identities: Vec<_> = identities
            .iter()
            .map(|i| (i.user_id.0, i.provider.provider.as_str(), i.provider.organization_id.0))
            .collect();
        assert_eq!(identities, [(5, "saml2", 101), (6, "google", 102)]);
    }

    async fn users_are_serialized_in_every_form(db: &TestDatabase, _form: Form) {
        for serializer in [Serializer::Simple, Serializer::Detailed, Serializer::SelfDetailed] {
            for as_user in [None, Some(UserId(1)), Some(ADA)] {
                let request =
                    SerializeRequest { filter: UserFilter::ids(&everybody()), as_user, serializer };
                let users = db.users().serialize_many(&request).await.unwrap();
                assert_eq!(users.len(), 12);
                let ada = &users[1];
                assert_eq!(ada["lastLogin"], "2025-05-02T10:00:00.123456Z");
                assert_eq!(ada["isSuspended"], false);
                let emails = ada["emails"].as_array().unwrap().len();
                assert_eq!(emails, if as_user.is_some() { 2 } else { 0 });
                if as_user == Some(ADA) {
                    assert_eq!(ada["options"]["theme"], "light");
                    assert_eq!(ada["options"]["language"], "de");
                }
            }
        }
    }

    async fn organizations_and_members_are_read(db: &TestDatabase, _form: Form) {
        let service = db.organizations();
        for (visibility, expected) in [(Any, vec![101, 103, 104]), (OnlyVisible, vec![101])] {
            let found = service.get_organizations(ADA, visibility).await.unwrap();
            assert_eq!(found.iter().map(|o| o.id.0).collect::<Vec<_>>(), expected);
        }
        assert_eq!(service.get_member_region_names(ADA).await.unwrap(), ["de", "us"]);
        assert_eq!(service.get_joined(UserId(7)).await.unwrap(), []);
        let looms = service.get_by_slug("looms").await.unwrap().unwrap();
        assert_eq!((looms.id, looms.status), (OrganizationId(104), None));
        let mut colleagues = service.get_colleagues(GRACE, &everybody()).await.unwrap();
        colleagues.sort_unstable();
        assert_eq!(colleagues, user_ids([1, 2, 3, 4, 5, 6, 10, 11, 12]));
        let ids = [OrganizationId(101), OrganizationId(102)];
        assert_eq!(service.count_members(&ids).await.unwrap(), [(ids[0], 8), (ids[1], 2)]);
        let pages = service.get_members(&ids, &all(OrderField::Id, 3).page).await.unwrap();
        let sizes: Vec<_> = pages.iter().map(|(_, p)| (p.rows.len(), p.has_next)).collect();
        assert_eq!(sizes, [(3, true), (2, false)]);
    }

    async fn options_of_any_age_are_read(db: &TestDatabase, form: Form) {
        let text = |text: &str| StoredValue::Json(JsonText::from(&json!(text)));
        let mut expected = vec![
            (8, StoredValue::Json(JsonText::from(&json!(null)))),
            (1, text("light")),
            (2, text("de")),
            (3, text("Europe/London")),
            // Of two rows for one option the newer one.
            (5, text("dark")),
        ];
        if form.is_old() {
            expected.push((9, StoredValue::Unreadable));
        }
        assert_eq!(global_options(db).await, expected);
        let filter = UserOptionFilter {
            user_ids: everybody(),
            keys: Some(vec!["mail:email".to_owned()]),
            scope: OptionScopeFilter::Projects(vec![ProjectId(42)]),
        };
        let found = db.options().get_many(&filter).await.unwrap();
        assert_eq!(found[0].value, text("ada.alerts@example.com"));
        let found = db.options().get_many_by_id(&[UserOptionId(7)]).await.unwrap();
        assert_eq!(found[0].scope, OptionScope::organization(OrganizationId(101)));
    }

    async fn to_open_and_to_read_leaves_everything_as_it_is(db: &TestDatabase, form: Form) {
        let before = Snapshot::take(db).await;
        db.reopen(true).await.deliver_pending().await.unwrap();
        the_tables_are_known_for_what_they_are(db, form).await;
        users_are_read_with_all_that_is_theirs(db, form).await;
        users_are_found_by_address_and_name(db, form).await;
        pages_and_parts_are_read(db, form).await;
        users_are_serialized_in_every_form(db, form).await;
        organizations_and_members_are_read(db, form).await;
        options_of_any_age_are_read(db, form).await;
        assert_eq!(Snapshot::take(db).await, before);
        assert_eq!(db.heard.take_changes(), []);
    }
}
