//! Members whom hints point to. What points to whom is tested where it is decided.

use user_gateway::domain::{FuzzyUserQuery, OrganizationId, UserId};

use crate::harness::{Account, TestDatabase};

async fn resolved(
    db: &TestDatabase,
    organization_id: OrganizationId,
    email: Option<&str>,
    name: Option<&str>,
) -> Option<UserId> {
    let query = FuzzyUserQuery {
        organization_id,
        email: email.map(str::to_owned),
        name: name.map(str::to_owned),
    };
    db.users().resolve_fuzzy_user(&query).await.unwrap()
}

contract! {
    async fn hints_point_to_active_members_alone(db: &TestDatabase) {
        let ada = db.add(Account { username: "ada-l", name: "Ada Lovelace", ..Account::default() })
            .await;
        db.add_email(ada, "ada@example.com", false).await;
        let gone = Account { username: "gone", is_active: false, ..Account::default() };
        let gone = db.add(gone).await;
        db.add_email(gone, "ada@elsewhere.example", true).await;
        let stranger = db.add_user("ada").await;
        let ours = db.add_organization(7, "us", Some(0)).await;
        for user in [ada, gone] {
            db.join(user, ours).await;
        }
        let theirs = db.add_organization(8, "us", Some(0)).await;
        db.join(stranger, theirs).await;

        let email = Some("ADA@third.example");
        assert_eq!(resolved(db, ours, email, None).await, Some(ada));
        assert_eq!(resolved(db, ours, None, Some("ada lovelace")).await, Some(ada));
        assert_eq!(resolved(db, ours, email, Some("Ada Lovelace")).await, Some(ada));
        assert_eq!(resolved(db, theirs, email, None).await, Some(stranger));
        assert_eq!(resolved(db, theirs, None, Some("Ada Lovelace")).await, None);
        assert_eq!(resolved(db, ours, None, None).await, None);
    }
}
