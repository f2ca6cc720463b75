//! Users by any of their addresses: one match for each user and address.

use user_gateway::domain::{EmailQuery, UserId};

use super::texts;
use crate::harness::{Account, TestDatabase};

fn query<const N: usize>(emails: [&str; N]) -> EmailQuery {
    EmailQuery {
        emails: texts(emails),
        only_active: true,
        only_verified: true,
        organization_id: None,
    }
}

async fn found(db: &TestDatabase, query: EmailQuery) -> Vec<(UserId, String)> {
    let matches = db.users().get_many_by_email(&query).await.unwrap();
    matches
        .into_iter()
        .map(|m| (m.user.profile.id, m.email))
        .collect()
}

fn at(user: UserId, email: &str) -> (UserId, String) {
    (user, email.to_owned())
}

contract! {
    async fn a_user_with_two_matching_addresses_is_two_matches(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        db.add_email(ada, "Ada@Work.example", true).await;
        let asked = ["GRACE@example.com", "ADA@WORK.EXAMPLE", "ada@example.com", "ADA@EXAMPLE.com"];
        assert_eq!(
            found(db, query(asked)).await,
            [
                at(ada, "ada@example.com"),
                at(ada, "Ada@Work.example"),
                at(grace, "grace@example.com"),
            ],
        );
    }

    async fn a_match_carries_the_whole_user(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_email(ada, "second@example.com", true).await;
        db.add_authenticator(ada, 1, "{}").await;
        let matches = db.users().get_many_by_email(&query(["second@example.com"])).await.unwrap();
        let user = &matches[0].user;
        assert_eq!(user.profile.email, "ada@example.com");
        assert_eq!(user.emails.len(), 2);
        assert_eq!(user.authenticators.len(), 1);
    }

    async fn unverified_addresses_count_only_when_asked_for(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        db.add_email(ada, "second@example.com", false).await;
        let asked = query(["ada@example.com", "second@example.com"]);
        assert_eq!(found(db, asked.clone()).await, [at(ada, "ada@example.com")]);
        let both = EmailQuery { only_verified: false, ..asked };
        assert_eq!(
            found(db, both).await,
            [at(ada, "ada@example.com"), at(ada, "second@example.com")],
        );
    }

    async fn inactive_users_count_only_when_asked_for(db: &TestDatabase) {
        let ada = db.add_user("ada").await;
        let account = Account { username: "gone", is_active: false, ..Account::default() };
        let gone = db.add(account).await;
        db.add_email(gone, "gone@example.com", true).await;
        let asked = query(["ada@example.com", "gone@example.com"]);
        assert_eq!(found(db, asked.clone()).await, [at(ada, "ada@example.com")]);
        let both = EmailQuery { only_active: false, ..asked };
        assert_eq!(
            found(db, both).await,
            [at(ada, "ada@example.com"), at(gone, "gone@example.com")],
        );
    }

    async fn an_organization_narrows_the_matches_to_its_members(db: &TestDatabase) {
        let [ada, grace] = db.add_users(["ada", "grace"]).await;
        let organization = db.add_organization(7, "us", Some(0)).await;
        db.join(grace, organization).await;
        db.join(grace, organization).await;
        let asked = query(["ada@example.com", "grace@example.com"]);
        assert_eq!(found(db, asked.clone()).await.len(), 2);
        let members = EmailQuery { organization_id: Some(organization), ..asked };
        assert_eq!(found(db, members).await, [at(grace, "grace@example.com")]);
        assert!(!db.users().get_user(ada).await.unwrap().unwrap().emails.is_empty());
    }

    async fn no_address_finds_nobody(db: &TestDatabase) {
        db.add_user("ada").await;
        assert_eq!(found(db, query([])).await, []);
        assert_eq!(found(db, query(["nobody@example.com", ""])).await, []);
    }
}
