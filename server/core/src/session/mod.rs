//! Sessions: who is a client, and since when was it silent (`SessionTrackerImpl`, `ExpiryQueue`).

mod ids;
mod password;
mod table;

pub use ids::SessionIds;
pub use password::{password, password_matches};
pub use table::{Owner, Session, SessionTable};
