//! Sessions: who is a client, and since when was it silent (`SessionTrackerImpl`, `ExpiryQueue`).

mod ids;
mod local;
mod password;
mod table;

pub use ids::SessionIds;
pub use local::LocalSessions;
pub use password::{password, password_matches};
pub use table::{Owner, Session, SessionTable};
