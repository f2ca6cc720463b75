//! The versions of what a control silo keeps copies of.

use user_gateway::domain::{Error, InvalidCode};
use user_gateway::service::{GET_USER, SiloCache as _, logical_key};

use crate::harness::TestDatabase;

database_contract! {
    async fn clearing_a_key_raises_its_version(db: &TestDatabase) {
        let cache = db.database();
        let key = logical_key(GET_USER, user_gateway::domain::UserId(7));
        assert_eq!(cache.clear_key(&key).await.unwrap(), 1);
        assert_eq!(cache.clear_key(&key).await.unwrap(), 2);
        assert_eq!(cache.clear_key("app_service.get:1").await.unwrap(), 1);
        assert_eq!(db.count("hybridcloud_controlcacheversion").await, 2);
        assert_eq!(db.heard.take_changes(), []);
    }

    async fn a_key_that_does_not_fit_is_refused(db: &TestDatabase) {
        let cache = db.database();
        assert_eq!(cache.clear_key(&"ä".repeat(200)).await.unwrap(), 1);
        match cache.clear_key(&"k".repeat(201)).await.unwrap_err() {
            Error::Invalid(invalid) => {
                assert_eq!(invalid.code, InvalidCode::TooLong);
                assert!(invalid.message.contains("keyname"), "{invalid}");
            }
            error => panic!("{error:?}"),
        }
    }

    async fn versions_without_a_table_are_not_offered(db: &TestDatabase) {
        db.execute("DROP TABLE hybridcloud_controlcacheversion").await;
        let database = db.reopen(true).await;
        let error = database.clear_key("key").await.unwrap_err();
        assert!(matches!(error, Error::NotSupported(_)), "{error:?}");
        assert!(error.to_string().contains("hybridcloud_controlcacheversion"), "{error}");
    }
}
