//! The nouns of the directory: plain data, no I/O, nothing asynchronous.

mod change;
mod clock;
mod email;
mod error;
mod fold;
mod fuzzy;
mod id;
mod idempotency_key;
mod json_text;
mod organization;
mod page;
mod secret;
mod slug;
mod text;
mod user;
mod user_option;

pub use change::{Change, Event, Signup};
pub use clock::{Clock, SystemClock};
pub use email::{EMAIL_MAX_CHARS, Email};
pub use error::{Code, Error, Invalid, InvalidCode, Result};
pub use fold::{fold, fold_char};
pub use fuzzy::{FuzzyMember, FuzzyUserQuery, resolve_fuzzy_user};
pub use id::{
    AuthIdentityId, AuthenticatorId, OrganizationId, ProjectId, UserEmailId, UserId, UserOptionId,
};
pub use idempotency_key::IdempotencyKey;
pub use json_text::{JsonText, escapes_nothing};
pub use organization::{
    Membership, Organization, OrganizationBrief, OrganizationFlags, OrganizationMember,
    OrganizationStatus, OrganizationVisibility,
};
pub use page::{Anchor, Direction, OrderField, OrderValue, Page, PageEnd, PageRequest, UserOrder};
pub use secret::Secret;
pub use slug::slugify;
pub use text::{DisplayName, PictureUrl, Username};
pub use user::{
    AuthIdentity, Authenticator, AuthenticatorFilter, AuthenticatorKind, Avatar, AvatarKind,
    EmailMatch, EmailQuery, IdentityProvider, NewUser, Role, SerializeRequest, Serializer,
    SocialAuthQuery, User, UserBrief, UserCreateResult, UserEmail, UserFilter, UserFlags,
    UserPageQuery, UserProfile, UserUpdate, UsernameQuery, VerifyUserEmail, Viewer,
};
pub use user_option::{
    OPTION_KEY_MAX_CHARS, OptionBounds, OptionKey, OptionScope, OptionScopeFilter, SetOption,
    SetOptionResult, StoredValue, UserOption, UserOptionFilter, get_option_from_list, newest,
};
