//! Where the keys of an identity provider come from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;

use crate::auth::{JwtRules, JwtVerifier, KeySource};
use crate::config::IdentityProviderConfig;
use crate::domain::{Clock, Error, Result};

/// How long a provider may take to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What checks the tokens of the provider that is configured.
pub(super) fn verifier(
    config: &IdentityProviderConfig,
    clock: Arc<dyn Clock>,
) -> anyhow::Result<JwtVerifier> {
    let is_url = ["http://", "https://"]
        .iter()
        .any(|scheme| config.jwks.starts_with(scheme));
    let source: Arc<dyn KeySource> = if is_url {
        // Another part of the process may have chosen before; any choice will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .context("cannot make a client for the identity provider")?;
        Arc::new(Published {
            client,
            url: config.jwks.clone(),
        })
    } else {
        Arc::new(Stored {
            path: PathBuf::from(&config.jwks),
        })
    };
    let rules = JwtRules {
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
        user_claim: config.user_claim.clone(),
    };
    Ok(JwtVerifier::new(rules, source, clock))
}

/// Keys at an address of the provider's.
#[derive(Debug)]
struct Published {
    client: reqwest::Client,
    url: String,
}

#[async_trait]
impl KeySource for Published {
    async fn fetch(&self) -> Result<String> {
        let unavailable = |error: reqwest::Error| Error::Unavailable(Arc::new(error));
        let response = self
            .client
            .get(&self.url)
            .send()
            .await
            .map_err(unavailable)?;
        let response = response.error_for_status().map_err(unavailable)?;
        response.text().await.map_err(unavailable)
    }
}

/// Keys in a file.
#[derive(Debug)]
struct Stored {
    path: PathBuf,
}

#[async_trait]
impl KeySource for Stored {
    async fn fetch(&self) -> Result<String> {
        tokio::fs::read_to_string(&self.path)
            .await
            .map_err(|error| Error::Unavailable(Arc::new(error)))
    }
}
