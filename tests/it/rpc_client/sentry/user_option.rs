//! Options, one scope at a time.

use serde_json::{Value, json};
use user_gateway::domain::{
    Code, JsonText, OptionKey, OptionScope, OptionScopeFilter, OrganizationId, ProjectId,
    SetOption, StoredValue, UserId, UserOptionFilter, UserOptionId,
};

use super::{ADA, Control, GRACE, code, texts};

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
        value: value.into(),
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
        assert_eq!(
            result.option.value,
            StoredValue::Json(JsonText::from(&value))
        );
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
