//! The tokens that another silo keeps.

use async_trait::async_trait;

use super::super::wire::gateway::{FindToken, FindTokenOwner};
use super::super::wire::user::GetMany;
use super::transport::{RpcClient, not_offered};
use super::user::accounts;
use crate::auth::{
    NewToken, StoredToken, Subject, TokenKind, TokenOwner, TokenStore, TokenSummary, TokenText,
};
use crate::domain::{Error, Result, UserFilter, fold};

/// [`TokenStore`] answered by another silo. The text of a token never travels, only its hash does.
///
/// A silo of Sentry's looks up no tokens; users whom an identity provider names are found there
/// too. Tokens are made, listed and revoked where they are kept.
#[derive(Debug, Clone)]
pub struct RemoteTokenStore {
    client: RpcClient,
}

impl RemoteTokenStore {
    /// The tokens of the silo that `client` asks.
    #[must_use]
    pub const fn new(client: RpcClient) -> Self {
        Self { client }
    }
}

fn elsewhere() -> Error {
    Error::NotSupported(
        "tokens are kept by the control silo; make, list and revoke them there".to_owned(),
    )
}

#[async_trait]
impl TokenStore for RemoteTokenStore {
    async fn find(&self, text: &TokenText) -> Result<Option<StoredToken>> {
        self.find_by_hash(&text.hash(), text.kind()).await
    }

    async fn find_by_hash(&self, hash: &str, kind: TokenKind) -> Result<Option<StoredToken>> {
        let call = FindToken {
            hash: hash.to_owned(),
            kind,
        };
        let answer = self.client.ask_gateway(&call).await?;
        answer.ok_or_else(|| {
            not_offered(
                "looking up an API token (use tokens of an identity provider, or put the hashes \
                 of service tokens into the configuration)",
            )
        })
    }

    async fn find_owner(&self, subject: &Subject) -> Result<Option<TokenOwner>> {
        let call = FindTokenOwner {
            subject: subject.clone(),
        };
        if let Some(owner) = self.client.ask_gateway(&call).await? {
            return Ok(owner);
        }
        let ids = match subject {
            Subject::Id(id) => vec![*id],
            Subject::Email(email) => {
                let filter = UserFilter {
                    emails: Some(vec![email.clone()]),
                    is_active: Some(true),
                    ..UserFilter::default()
                };
                let filter = (&filter).into();
                let users = self.client.call(&GetMany { filter }).await?;
                let mut ids: Vec<_> = users
                    .into_iter()
                    .filter(|user| fold(&user.profile.email) == fold(email))
                    .map(|user| user.profile.id)
                    .collect();
                ids.sort_unstable();
                ids.dedup();
                ids
            }
        };
        // An address that several accounts share identifies none of them.
        let [id] = ids[..] else {
            return Ok(None);
        };
        let account = accounts(&self.client, &[id]).await?.pop();
        Ok(account.map(|account| TokenOwner::User {
            id: account.id,
            is_active: account.is_active && !account.is_suspended,
            is_superuser: account.is_superuser,
            is_staff: account.is_staff,
            application_is_active: true,
        }))
    }

    async fn create(&self, _: &NewToken) -> Result<()> {
        Err(elsewhere())
    }

    async fn list(&self) -> Result<Vec<TokenSummary>> {
        Err(elsewhere())
    }

    async fn revoke(&self, _: &str) -> Result<bool> {
        Err(elsewhere())
    }
}
