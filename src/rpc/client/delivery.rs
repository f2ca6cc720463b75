//! Telling a region of a change.

use async_trait::async_trait;

use super::super::wire::caching::ClearRegionKey;
use super::peer::Peer;
use super::transport::RpcClient;
use crate::domain::{Change, Result};
use crate::service::{Delivery, GET_MANY_BY_ID, GET_USER, logical_key};

/// [`Delivery`] to one region, by clearing what it keeps of the user.
#[derive(Debug, Clone)]
pub struct RegionDelivery {
    client: RpcClient,
    region: String,
}

impl RegionDelivery {
    /// Tells the region `region`, which `client` asks.
    #[must_use]
    pub const fn new(client: RpcClient, region: String) -> Self {
        Self { client, region }
    }
}

#[async_trait]
impl Delivery for RegionDelivery {
    async fn deliver(&self, change: Change) -> Result<()> {
        let clear = |base_key| {
            let key = logical_key(base_key, change.user_id);
            ClearRegionKey::new(&self.region, key)
        };
        let answer = self.client.ask(&clear(GET_MANY_BY_ID)).await?;
        // A gateway forgets everything of the user; Sentry keeps what each function has answered
        // by itself.
        if answer.peer != Peer::Gateway {
            self.client.ask(&clear(GET_USER)).await?;
        }
        Ok(())
    }
}
