//! Organizations as Sentry's silos tell each other of them.

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::moment::Moment;
use crate::domain::{Organization, OrganizationFlags, OrganizationId, OrganizationStatus};

/// Summary data of an organization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RpcOrganizationMapping {
    /// The organization's id.
    pub id: OrganizationId,
    /// The name in addresses.
    pub slug: SmolStr,
    /// The name for people.
    pub name: SmolStr,
    /// Where the organization lives.
    pub region_name: SmolStr,
    /// The newer name of `region_name`; read, and not written.
    #[serde(skip_serializing)]
    pub cell_name: Option<SmolStr>,
    /// When it was created.
    pub date_created: Moment,
    /// Always false: Sentry does not fill it.
    pub verified: bool,
    /// The billing customer.
    pub customer_id: Option<SmolStr>,
    /// The stored number of its state.
    pub status: Option<OrganizationStatus>,
    /// Its settings.
    pub flags: OrganizationFlags,
}

impl Default for RpcOrganizationMapping {
    fn default() -> Self {
        Self {
            id: OrganizationId(-1),
            slug: SmolStr::default(),
            name: SmolStr::default(),
            region_name: SmolStr::default(),
            cell_name: None,
            date_created: chrono::DateTime::UNIX_EPOCH.into(),
            verified: false,
            customer_id: None,
            status: None,
            flags: OrganizationFlags::default(),
        }
    }
}

impl From<Organization> for RpcOrganizationMapping {
    fn from(organization: Organization) -> Self {
        Self {
            id: organization.id,
            slug: organization.slug,
            name: organization.name,
            region_name: organization.region_name,
            cell_name: None,
            date_created: organization.date_created.into(),
            verified: false,
            customer_id: organization.customer_id,
            status: organization.status,
            flags: organization.flags,
        }
    }
}

impl From<RpcOrganizationMapping> for Organization {
    fn from(mapping: RpcOrganizationMapping) -> Self {
        let region_name = match mapping.cell_name {
            Some(cell_name) if mapping.region_name.is_empty() => cell_name,
            _ => mapping.region_name,
        };
        Self {
            id: mapping.id,
            slug: mapping.slug,
            name: mapping.name,
            region_name,
            date_created: mapping.date_created.time(),
            customer_id: mapping.customer_id,
            status: mapping.status,
            flags: mapping.flags,
        }
    }
}
