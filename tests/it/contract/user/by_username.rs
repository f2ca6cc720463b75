//! Users by username, and which usernames exist.

use user_gateway::domain::{UserId, UsernameQuery};

use super::texts;
use crate::harness::{Account, TestDatabase};

fn query(username: &str) -> UsernameQuery {
    UsernameQuery {
        username: username.to_owned(),
        with_valid_password: true,
        is_active: None,
    }
}

async fn found(db: &TestDatabase, query: UsernameQuery) -> Vec<UserId> {
    let users = db.users().get_by_username(&query).await.unwrap();
    users.iter().map(|user| user.profile.id).collect()
}

contract! {
    async fn an_exact_username_wins_over_one_in_another_case(db: &TestDatabase) {
        let [upper, lower] = db.add_users(["Casey", "casey"]).await;
        assert_eq!(found(db, query("casey")).await, [lower]);
        assert_eq!(found(db, query("Casey")).await, [upper]);
        assert_eq!(found(db, query("CASEY")).await, [upper, lower]);
    }

    async fn usernames_ignore_case_in_every_script(db: &TestDatabase) {
        let yulia = db.add_user("Юлия").await;
        assert_eq!(found(db, query("юлия")).await, [yulia]);
    }

    async fn an_address_is_tried_when_no_username_fits(db: &TestDatabase) {
        let shared = |username| Account {
            username, email: "Shared@Example.com", ..Account::default()
        };
        let one = db.add(shared("one")).await;
        let two = db.add(shared("two")).await;
        db.add_email(one, "secondary@example.com", true).await;
        assert_eq!(found(db, query("shared@example.COM")).await, [one, two]);
        assert_eq!(found(db, query("secondary@example.com")).await, []);

        // Somebody who has the address for a username goes before those who have it as address.
        let named = db.add_user("SHARED@example.com").await;
        assert_eq!(found(db, query("shared@example.com")).await, [named]);
    }

    async fn what_is_no_address_is_tried_as_a_username_alone(db: &TestDatabase) {
        db.add(Account { username: "one", email: "localhost", ..Account::default() }).await;
        assert_eq!(found(db, query("localhost")).await, []);
        assert_eq!(found(db, query("")).await, []);
    }

    async fn only_the_mark_of_an_unusable_password_is_left_out(db: &TestDatabase) {
        for (username, password, valid) in
            [("mark", "!", false), ("random", "!abc", true), ("empty", "", true)]
        {
            let id = db.add(Account { username, password, ..Account::default() }).await;
            let expected = if valid { vec![id] } else { vec![] };
            assert_eq!(found(db, query(username)).await, expected, "{username}");
            let any = UsernameQuery { with_valid_password: false, ..query(username) };
            assert_eq!(found(db, any).await, [id], "{username}");
        }
    }

    async fn the_state_of_the_account_can_be_asked_for(db: &TestDatabase) {
        let account = Account { username: "gone", is_active: false, ..Account::default() };
        let gone = db.add(account).await;
        for (is_active, expected) in
            [(None, vec![gone]), (Some(false), vec![gone]), (Some(true), vec![])]
        {
            let asked = UsernameQuery { is_active, ..query("gone") };
            assert_eq!(found(db, asked).await, expected);
        }
    }

    async fn existing_usernames_come_once_and_in_the_order_asked(db: &TestDatabase) {
        db.add_users(["ada", "grace", "Юлия"]).await;
        let gone = Account { username: "gone", is_active: false, ..Account::default() };
        db.add(gone).await;
        let asked =
            texts(["nobody", "grace", "Юлия", "ada", "grace", "gone", "ADA", "юлия", "", "gr%"]);
        let existing = db.users().get_existing_usernames(asked).await.unwrap();
        assert_eq!(existing, ["grace", "Юлия", "ada", "gone"]);
        assert!(db.users().get_existing_usernames(Vec::new()).await.unwrap().is_empty());
    }
}
