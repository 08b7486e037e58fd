//! A member of an ensemble: the thread that steps its machine, and what carries out what the machine asks for.
//!
//! ```text
//!   clients' writes, packets, notifications, the clock --> inbox --> thread.rs: step, submit
//!                                                                      |  outputs
//!        dispatch.rs: frames and snapshots to the sockets (crate::peers), the lists of members
//!        disk.rs: append, flush, epochs, cut, install -- what is durable, as inputs --> step
//!        files.rs: the lists of members beside zoo.cfg
//!                                                                      |  what is committed
//!        connections <--- replies, events ---------------------------- apply
//! ```
//!
//! One thread does all of it, as for a server that stands alone, but for the waiting for a busy or slow disk
//! (`crate::disk::Flusher`): what a batch asks to be sent goes out before the batch is flushed, so that the disks of all
//! members work at the same time.

mod disk;
mod dispatch;
mod files;
mod monitor;
mod moving;
mod rules;
mod thread;

pub(crate) use disk::MemberDisk;
pub(crate) use files::MemberFiles;
pub(crate) use rules::{election_sockets, peer_rules};
pub(crate) use thread::{MemberThread, Sockets};
