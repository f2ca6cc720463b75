//! Who calls, where no token can be looked up.

use user_gateway::auth::{Subject, TokenKind, TokenOwner, TokenStore, TokenText};
use user_gateway::domain::{Code, UserId};
use user_gateway::rpc::client::RemoteTokenStore;

use super::{ADA, ALAN, Control, GRACE, GUEST};

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
