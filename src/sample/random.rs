//! A small seeded generator, `SplitMix64`: the same draws on every machine.
//!
//! Integers only: floating-point functions differ between platforms in their last digits, and rows must not.

const SEED: u64 = 0x5eed_0fa0_d17e_c708;
const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// What the draws are for. Each has its own sequence per id, so that one more draw here changes no row
/// there; a new purpose goes last, for the same reason.
#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Account,
    AuthProvider,
    Authenticator,
    Avatar,
    Email,
    Identity,
    Invitation,
    Membership,
    Name,
    Option,
    Organization,
    OrganizationAge,
    Organizations,
    Permission,
    Role,
    Staff,
}

/// A sequence of draws.
#[derive(Debug)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of `id` in `stream`. The first draws of two ids of a stream always differ.
    pub(super) fn new(stream: Stream, id: u64) -> Self {
        Self(mix(mix(SEED ^ stream as u64) ^ id))
    }

    /// Any number.
    pub(super) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GAMMA);
        mix(self.0)
    }

    /// A number below `bound`, or zero when there is none.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        // The upper half of the product is spread evenly enough, and costs no division.
        let (_, upper) = self.draw().carrying_mul(bound, 0);
        upper
    }

    /// True in `share` of a thousand cases.
    pub(super) fn chance(&mut self, share: u64) -> bool {
        self.below(1_000) < share
    }

    /// One of `items`.
    pub(super) fn pick<'a, T, const N: usize>(&mut self, items: &'a [T; N]) -> &'a T {
        &items[index(self.below(N as u64))]
    }

    /// A text of 32 hexadecimal digits that no other id of the stream gets, if these are its first draws.
    pub(super) fn hex(&mut self) -> String {
        format!("{:016x}{:016x}", self.draw(), self.draw())
    }
}

/// An index into a table of this module, from a number known to be smaller than its length.
pub(super) fn index(number: u64) -> usize {
    // No table comes near the bound, so saturating instead of failing hides nothing.
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// A bijection that leaves no pattern of its input.
pub(super) fn mix(number: u64) -> u64 {
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}
