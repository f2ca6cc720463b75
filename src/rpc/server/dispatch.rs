//! Which methods there are.

use super::super::call::Call;
use super::super::wire::{caching, gateway, user, user_option};
use super::RpcServer;
use super::method::{Answer, answer};

/// What a path leads to.
pub(super) enum Found {
    /// A method.
    Method(Answer),
    /// Something of Sentry's service that is not for other silos.
    Local,
    /// Nothing.
    Nothing,
}

/// What Sentry's services have beside the methods that other silos may call.
const LOCAL: [(&str, &str); 3] = [
    ("user", "get_user"),
    ("user", "get_many_by_id"),
    ("user_option", "get_option_from_list"),
];

/// The methods that are there when their service is.
macro_rules! methods {
    ($($call:ty,)*) => {
        [$((<$call as Call>::SERVICE, <$call as Call>::METHOD, answer::<$call> as Answer),)*]
    };
}

/// All methods: the service, the method, and its handler.
pub(super) const METHODS: &[(&str, &str, Answer)] = &methods![
    user::SerializeMany,
    user::GetMany,
    user::GetManyIds,
    user::GetManyProfiles,
    user::GetManyByEmail,
    user::GetByUsername,
    user::GetExistingUsernames,
    user::GetOrganizations,
    user::GetMemberCellNames,
    user::GetMemberRegionNames,
    user::UpdateUser,
    user::FlushNonce,
    user::GetUserBySocialAuth,
    user::GetFirstSuperuser,
    user::GetOrCreateByEmail,
    user::GetUserByEmail,
    user::VerifyUserEmail,
    user::VerifyAnyEmail,
    user::CreateByUsernameAndEmail,
    user::TriggerUserConsentEmailIfApplicable,
    user::VerifyUserEmails,
    user::GetUserAvatar,
    user::AddPermission,
    user::RemovePermission,
    user::ResolveFuzzyUser,
    user_option::GetMany,
    user_option::SerializeMany,
    user_option::SetOption,
    user_option::DeleteOptions,
    caching::ClearRegionKey,
    caching::ClearControlKey,
    gateway::PageUsers,
    gateway::CountUsers,
    gateway::GetIdentities,
    gateway::GetRoles,
    gateway::UpdateUser,
    gateway::GetAllUserOptions,
    gateway::GetUserOptionsById,
    gateway::SetUserOption,
    gateway::DeleteUserOptions,
    gateway::GetMemberships,
    gateway::GetOrganizationsById,
    gateway::GetOrganizationBySlug,
    gateway::GetMembers,
    gateway::CountMembers,
    gateway::GetJoined,
    gateway::GetColleagues,
    gateway::FindToken,
    gateway::FindTokenOwner,
];

/// Finds what a path leads to, for a gateway or another caller.
pub(super) fn find(server: &RpcServer, service: &str, method: &str, is_gateway: bool) -> Found {
    let is_served = match service {
        "user" | "user_option" => server.services.is_some(),
        "user_gateway" => server.services.is_some() && is_gateway,
        "region_caching" => server.region_caching.is_some(),
        "control_caching" => server.control_caching.is_some(),
        _ => false,
    };
    if !is_served {
        return Found::Nothing;
    }
    let found = METHODS
        .iter()
        .find(|(of, name, _)| (*of, *name) == (service, method));
    match found {
        Some((_, _, answer)) => Found::Method(*answer),
        None if LOCAL.contains(&(service, method)) => Found::Local,
        None => Found::Nothing,
    }
}
