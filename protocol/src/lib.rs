//! The wire formats of ZooKeeper: bytes to values and back.
//!
//! Nothing here does IO or decides anything; every length that comes from outside is checked before it is
//! used. The words of the field are defined here: [`Zxid`](types::Zxid), [`SessionId`](types::SessionId),
//! [`Stat`](types::Stat), [`Acl`](types::Acl), [`OpCode`](types::OpCode), [`ErrorCode`](types::ErrorCode).
//!
//! - [`jute`]: the primitive encodings (`org.apache.jute.Binary{Input,Output}Archive`)
//! - [`types`]: values that several formats share
//! - [`client`]: what travels over the client port
//! - [`peer`]: what travels between servers
//! - [`snapshot`]: the whole tree as a stream
//! - [`txn`]: what is agreed upon and logged, with its digest
//! - [`properties`]: the text format of configurations, in files and between servers

pub mod client;
pub mod jute;
pub mod peer;
pub mod properties;
pub mod snapshot;
pub mod txn;
pub mod types;
