//! Servers that agree: elections, synchronization and broadcast between whole machines, with clients.

mod cluster;
mod disk;
mod figures;
mod local_sessions;
mod observers;
mod read_only;
mod reconfiguration;
mod recorded;
mod server;
mod sessions;
mod slow_disk;
mod stories;
mod turmoil;
mod unknown_data;
