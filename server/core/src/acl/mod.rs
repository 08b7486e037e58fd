//! Who may do what: schemes, identities, the decision, and the lists in memory.

mod check;
mod digest;
mod identity;
mod ip;
mod normalize;
mod table;

pub use check::{AclPolicy, permits};
pub use digest::{DigestAlgorithm, digest_id};
pub use identity::{AuthRules, AuthSuccess, client_infos, is_super};
pub use normalize::{InvalidAcl, normalize};
pub use table::{AclId, AclTable};
