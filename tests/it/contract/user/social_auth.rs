//! Users by the accounts of other services that they sign in with.

use user_gateway::domain::{OrganizationId, SocialAuthQuery, UserId};

use crate::harness::TestDatabase;

fn query(organization_id: OrganizationId, provider: &str, uid: &str) -> SocialAuthQuery {
    SocialAuthQuery {
        organization_id,
        provider: provider.to_owned(),
        uid: uid.to_owned(),
    }
}

async fn found(db: &TestDatabase, query: SocialAuthQuery) -> Option<UserId> {
    let user = db.users().get_user_by_social_auth(&query).await.unwrap();
    user.map(|user| user.id)
}

contract! {
    async fn a_member_is_found_by_an_account_elsewhere(db: &TestDatabase) {
        let [ada, grace, linus] = db.add_users(["ada", "grace", "linus"]).await;
        let ours = db.add_organization(7, "us", Some(0)).await;
        let theirs = db.add_organization(8, "de", Some(0)).await;
        db.join(grace, ours).await;
        db.join(linus, ours).await;
        db.add_membership(theirs, Some(ada), "member", Some(1)).await;
        for (user, uid) in [(linus, "1815"), (grace, "1815"), (ada, "1815"), (ada, "Abc")] {
            db.add_social_auth(user, "github", uid).await;
        }
        assert_eq!(found(db, query(ours, "github", "1815")).await, Some(grace));
        assert_eq!(found(db, query(theirs, "github", "1815")).await, Some(ada));
        assert_eq!(found(db, query(theirs, "github", "abc")).await, None);
        assert_eq!(found(db, query(theirs, "GitHub", "Abc")).await, None);
        assert_eq!(found(db, query(ours, "github", "Abc")).await, None);
        assert_eq!(found(db, query(OrganizationId(404), "github", "1815")).await, None);
    }
}
