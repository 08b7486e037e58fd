//! Values that the client port, the peer port, the log and the tree share.

mod acl;
mod create_mode;
mod ephemeral_owner;
mod error_code;
mod host_port;
mod ids;
mod op_code;
mod path;
mod stat;

pub use acl::{Acl, AclList, Id, MANY_ACLS, Perms, read_acls, read_acls_nullable, write_acls};
pub use create_mode::CreateMode;
pub use ephemeral_owner::{EphemeralOwner, ExtendedTypes, OwnerError, TTL_MS_MAX};
pub use error_code::ErrorCode;
pub use host_port::{BracketError, HostPort, canonical_host, host_and_ports, is_any_local, is_loopback, split_parts};
pub use ids::{ServerId, SessionId, Zxid};
pub use op_code::OpCode;
pub use path::{PathError, parent_and_name, validate_path};
pub use stat::{Stat, StatPersisted};
