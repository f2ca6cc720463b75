//! Users of a filter: who is found, how often, and which filters are refused.

use user_gateway::domain::{
    AuthenticatorFilter, AuthenticatorKind, InvalidCode, OrganizationId, SerializeRequest,
    Serializer, UserFilter, UserId,
};

use super::{invalid, texts};
use crate::harness::{Account, TestDatabase};

/// Who is found, by all three methods that list users.
async fn found(db: &TestDatabase, filter: UserFilter) -> Vec<UserId> {
    let ids = db.users().get_many_ids(&filter).await.unwrap();
    let profiles = db.users().get_many_profiles(&filter).await.unwrap();
    assert_eq!(profiles.iter().map(|p| p.id).collect::<Vec<_>>(), ids);
    let users = db.users().get_many(&filter).await.unwrap();
    assert_eq!(users.iter().map(|u| u.profile.id).collect::<Vec<_>>(), ids);
    ids
}

fn emails<const N: usize>(emails: [&str; N]) -> UserFilter {
    UserFilter {
        emails: Some(texts(emails)),
        ..UserFilter::default()
    }
}

/// Who of `everybody` a search finds.
async fn searched(db: &TestDatabase, everybody: &[UserId], query: &str) -> Vec<UserId> {
    let filter = UserFilter {
        query: Some(query.to_owned()),
        ..UserFilter::ids(everybody)
    };
    found(db, filter).await
}

async fn named(db: &TestDatabase, username: &str, name: &str) -> UserId {
    let account = Account {
        username,
        name,
        ..Account::default()
    };
    db.add(account).await
}

contract! {
    async fn a_user_appears_once_however_much_of_theirs_matches(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(ada, "Ada@Work.example", true).await;
        db.add_email(ada, "ADA@EXAMPLE.COM", true).await;
        db.add_authenticator(ada, 1, "{}").await;
        db.add_authenticator(ada, 3, "{}").await;
        let organization = db.add_organization(7, "us", Some(0)).await;
        for member in [ada, ada, grace] {
            db.join(member, organization).await;
        }
        let filter = UserFilter {
            organization_id: Some(organization),
            email_verified: Some(true),
            query: Some("a".to_owned()),
            ..emails(["ada@example.com", "ada@work.example", "grace@example.com"])
        };
        assert_eq!(found(db, filter.clone()).await, [ada, grace]);

        let kinds = vec![AuthenticatorKind::Totp, AuthenticatorKind::U2f];
        let filter = UserFilter {
            authenticators: Some(AuthenticatorFilter::AnyOf(kinds)),
            ..filter
        };
        assert_eq!(found(db, filter).await, [ada]);
    }

    async fn users_come_by_id_and_unknown_ids_are_absent(db: &TestDatabase) {
        let [ada, grace, edith] = db.add_users(["ada", "grace", "edith"]).await;
        let ids = [edith, UserId(i64::MAX), ada, edith, grace, UserId(-1)];
        assert_eq!(found(db, UserFilter::ids(&ids)).await, [ada, grace, edith]);
    }

    async fn a_filter_without_an_anchor_is_refused(db: &TestDatabase) {
        db.add_user("ada").await;
        for filter in [
            UserFilter::default(),
            UserFilter { is_active: Some(true), ..UserFilter::default() },
            UserFilter { email_verified: Some(true), ..UserFilter::default() },
            UserFilter { query: Some("ada".to_owned()), ..UserFilter::default() },
            UserFilter {
                authenticators: Some(AuthenticatorFilter::None),
                ..UserFilter::default()
            },
        ] {
            let users = db.users();
            let refused = Some(InvalidCode::InvalidFormat);
            assert_eq!(invalid(users.get_many(&filter).await), refused);
            assert_eq!(invalid(users.get_many_ids(&filter).await), refused);
            assert_eq!(invalid(users.get_many_profiles(&filter).await), refused);
            let request = SerializeRequest {
                filter,
                as_user: None,
                serializer: Serializer::Simple,
            };
            assert_eq!(invalid(users.serialize_many(&request).await), refused);
        }
    }

    async fn an_anchor_that_names_nobody_finds_nobody(db: &TestDatabase) {
        db.add_user("ada").await;
        let none = UserFilter::default;
        for filter in [
            UserFilter { user_ids: Some(vec![]), ..none() },
            UserFilter { emails: Some(vec![]), ..none() },
            UserFilter { usernames: Some(vec![]), ..none() },
            UserFilter { organization_id: Some(OrganizationId(404)), ..none() },
        ] {
            assert_eq!(found(db, filter).await, []);
        }
    }

    async fn inactive_users_are_found_unless_the_filter_says_otherwise(db: &TestDatabase) {
        let active = db.add_user("active").await;
        let account = Account { username: "inactive", is_active: false, ..Account::default() };
        let inactive = db.add(account).await;
        for (is_active, expected) in [
            (None, vec![active, inactive]),
            (Some(true), vec![active]),
            (Some(false), vec![inactive]),
        ] {
            let filter = UserFilter { is_active, ..UserFilter::ids(&[active, inactive]) };
            assert_eq!(found(db, filter).await, expected);
        }
    }

    async fn all_conditions_of_a_filter_hold_together(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let organization = db.add_organization(7, "us", Some(0)).await;
        db.join(grace, organization).await;
        let both = emails(["ada@example.com", "grace@example.com"]);
        let filter = UserFilter { organization_id: Some(organization), ..both.clone() };
        assert_eq!(found(db, filter).await, [grace]);
        let filter = UserFilter { usernames: Some(texts(["ada"])), ..both.clone() };
        assert_eq!(found(db, filter).await, [ada]);
        let filter = UserFilter { user_ids: Some(vec![ada]), query: Some("grace".into()), ..both };
        assert_eq!(found(db, filter).await, []);
    }

    async fn a_member_is_found_whatever_the_state_of_the_invitation(db: &TestDatabase) {
        let [approved, requested, asking, old, other] =
            db.add_users(["approved", "requested", "asking", "old", "other"]).await;
        let organization = db.add_organization(7, "us", Some(0)).await;
        let elsewhere = db.add_organization(8, "us", Some(0)).await;
        for (user, status) in [
            (Some(approved), Some(0)),
            (Some(requested), Some(1)),
            (Some(asking), Some(2)),
            (Some(old), None),
            (None, Some(0)),
        ] {
            db.add_membership(organization, user, "member", status).await;
        }
        db.join(other, elsewhere).await;
        let filter = UserFilter { organization_id: Some(organization), ..UserFilter::default() };
        assert_eq!(found(db, filter).await, [approved, requested, asking, old]);
    }

    async fn addresses_match_ignoring_case_and_the_account_row_is_not_asked(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_email(ada, "Second@Example.COM", false).await;
        db.add_email(ada, "Юлия@Пример.example", false).await;
        let account = Account { email: "column@example.com", ..Account::default() };
        db.add(account).await;
        for address in ["ADA@example.com", "second@example.com", "юЛИЯ@ПРИМЕР.EXAMPLE"] {
            assert_eq!(found(db, emails([address])).await, [ada], "{address}");
        }
        for address in ["column@example.com", "ada@example.co", "%@example.com", ""] {
            assert_eq!(found(db, emails([address])).await, [], "{address}");
        }
    }

    async fn the_state_of_an_address_is_that_of_the_one_that_matches(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_email(ada, "alt@example.com", false).await;
        for (address, verified, matches) in [
            ("ada@example.com", true, true),
            ("ada@example.com", false, false),
            ("alt@example.com", true, false),
            ("alt@example.com", false, true),
        ] {
            let filter = UserFilter { email_verified: Some(verified), ..emails([address]) };
            assert_eq!(!found(db, filter).await.is_empty(), matches, "{address} {verified}");
        }
        for verified in [true, false] {
            let filter = UserFilter { email_verified: Some(verified), ..UserFilter::ids(&[ada]) };
            assert_eq!(found(db, filter).await, [ada]);
        }
    }

    async fn usernames_match_exactly(db: &TestDatabase) {
        let [lower, upper] = db.add_users(["casey", "Casey"]).await;
        for (name, expected) in
            [("casey", vec![lower]), ("Casey", vec![upper]), ("CASEY", vec![])]
        {
            let filter =
                UserFilter { usernames: Some(texts([name])), ..UserFilter::default() };
            assert_eq!(found(db, filter).await, expected);
        }
    }

    async fn a_search_looks_into_names_usernames_and_addresses(db: &TestDatabase) {
        let by_name = named(db, "first", "Needle Smith").await;
        let by_username = named(db, "the-needle", "").await;
        let by_address = named(db, "third", "").await;
        db.add_email(by_address, "x@needle.example", false).await;
        let column = Account {
            username: "fourth", email: "needle@column.example", ..Account::default()
        };
        let everybody = [by_name, by_username, by_address, db.add(column).await];
        let matching = [by_name, by_username, by_address];
        assert_eq!(searched(db, &everybody, "NEEDLE").await, matching);
        assert_eq!(searched(db, &everybody, "").await, everybody);
        assert_eq!(searched(db, &everybody, "needles").await, []);
    }

    async fn a_search_can_leave_usernames_out(db: &TestDatabase) {
        let by_name = named(db, "first", "Needle Smith").await;
        let by_username = named(db, "the-needle", "").await;
        let by_address = named(db, "third", "").await;
        db.add_email(by_address, "x@needle.example", false).await;
        let filter = UserFilter {
            query: Some("needle".to_owned()),
            query_spares_usernames: true,
            ..UserFilter::ids(&[by_name, by_username, by_address])
        };
        assert_eq!(found(db, filter).await, [by_name, by_address]);
    }

    async fn those_who_belong_to_no_organization_can_be_asked_for(db: &TestDatabase) {
        let [ada, grace, linus] = db.add_users(["ada", "grace", "linus"]).await;
        let organization = db.add_organization(7, "us", Some(0)).await;
        db.join(ada, organization).await;
        db.add_membership(organization, Some(grace), "member", Some(1)).await;
        db.add_membership(organization, None, "member", Some(1)).await;
        let nowhere = UserFilter { without_organization: true, ..UserFilter::default() };
        assert_eq!(found(db, nowhere.clone()).await, [linus]);
        let both = UserFilter { organization_id: Some(organization), ..nowhere };
        assert_eq!(found(db, both).await, []);
    }

    async fn a_search_may_match_another_address_than_the_one_asked_for(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_email(ada, "second@elsewhere.example", false).await;
        let filter =
            UserFilter { query: Some("elsewhere".to_owned()), ..emails(["ada@example.com"]) };
        assert_eq!(found(db, filter).await, [ada]);
    }

    async fn every_character_of_a_search_means_itself(db: &TestDatabase) {
        let special = ['%', '_', '\\', '*', '?', '[', ']', '^', '-', '!', '\'', '"', '{', '$'];
        let mut everybody = vec![named(db, "decoy", "aXb ab aXXb").await];
        for (i, c) in special.into_iter().enumerate() {
            everybody.push(named(db, &format!("user{i}"), &format!("a{c}b")).await);
        }
        for (i, c) in special.into_iter().enumerate() {
            let expected = [everybody[i + 1]];
            for query in [format!("{c}"), format!("a{c}"), format!("{c}b"), format!("A{c}B")] {
                assert_eq!(searched(db, &everybody, &query).await, expected, "{query}");
            }
        }
        let all = named(db, "all", r"50% [a-z]_*?\^] off").await;
        everybody.push(all);
        for query in [r"% [a-z]_*?\^] o", "[a-z]", r"\^]", "*?"] {
            assert_eq!(searched(db, &everybody, query).await, [all], "{query}");
        }
    }

    async fn a_search_ignores_case_in_every_script(db: &TestDatabase) {
        for (username, name, queries) in [
            ("latin", "Jörg Ångström", ["JÖRG", "ångSTRÖM", "örg å"]),
            ("cyrillic", "Юлия Ёлкина", ["юлия", "ЁЛКИНА", "ИЯ ё"]),
            ("greek", "Γιώργος Σοφίας", ["ΓΙΏΡΓΟΣ", "γιώργοσ", "ΣΟΦΊΑΣ"]),
            ("turkish", "Çağrı Şahin", ["ÇAĞ", "şAHİN", "çağr"]),
            ("armenian", "Անի Ղազարյան", ["ԱՆԻ", "ղազար", "ԱԶԱՐ"]),
            ("sharp", "Groß Weiß", ["groß", "GROß", "weiß"]),
            ("uncased", "张伟 नमस्ते", ["张伟", "伟 न", "नमस्ते"]),
        ] {
            let id = named(db, username, name).await;
            for query in queries {
                // A dotted capital is a letter of its own, on both engines.
                let expected = if query.contains('İ') { vec![] } else { vec![id] };
                assert_eq!(searched(db, &[id], query).await, expected, "{query} in {name}");
            }
        }
    }

    async fn second_factors_can_be_asked_for(db: &TestDatabase) {
        let [none, recovery, totp, both] =
            db.add_users(["none", "recovery", "totp", "both"]).await;
        for (user, kind) in [(recovery, 0), (totp, 1), (both, 1), (both, 3)] {
            db.add_authenticator(user, kind, "{}").await;
        }
        let any_of = AuthenticatorFilter::AnyOf;
        for (authenticators, expected) in [
            (AuthenticatorFilter::None, vec![none]),
            (any_of(vec![AuthenticatorKind::Totp]), vec![totp, both]),
            (any_of(vec![AuthenticatorKind::Recovery, AuthenticatorKind::U2f]), vec![recovery, both]),
            (any_of(vec![AuthenticatorKind::Sms]), vec![]),
            (any_of(vec![]), vec![]),
        ] {
            let filter = UserFilter {
                authenticators: Some(authenticators),
                ..UserFilter::ids(&[none, recovery, totp, both])
            };
            assert_eq!(found(db, filter).await, expected);
        }
    }
}
