//! Operation codes (`ZooDefs.OpCode`).

macro_rules! op_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal $text:literal,)*) => {
        /// What a request asks for, and what kind of transaction came of it.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i32)]
        pub enum OpCode { $($(#[$doc])* $name = $code,)* }

        impl OpCode {
            /// The operation of this number, if there is one.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($code => Some(Self::$name),)* _ => None }
            }

            /// Java's name of the operation (`Request#op2String`).
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

op_codes! {
    /// Not a request: the type in a notification's header.
    Notification = 0 "notification",
    /// Creates a znode; the reply holds its path.
    Create = 1 "create",
    /// Deletes a znode.
    Delete = 2 "delete",
    /// Stat of a znode.
    Exists = 3 "exists",
    /// Data and stat.
    GetData = 4 "getData",
    /// Replaces the data.
    SetData = 5 "setData",
    /// ACL and stat.
    GetAcl = 6 "getACL",
    /// Replaces the ACL.
    SetAcl = 7 "setACL",
    /// Names of the children.
    GetChildren = 8 "getChildren",
    /// A barrier: what was committed before it is visible after it.
    Sync = 9 "sync",
    /// Keeps the session alive.
    Ping = 11 "ping",
    /// Names of the children, and stat.
    GetChildren2 = 12 "getChildren2",
    /// Compares a version; only inside a multi.
    Check = 13 "check",
    /// Several writes as one transaction.
    Multi = 14 "multi",
    /// Creates a znode; the reply holds path and stat.
    Create2 = 15 "create2",
    /// Changes the ensemble.
    Reconfig = 16 "reconfig",
    /// Asks whether a watch is set.
    CheckWatches = 17 "checkWatches",
    /// Takes watches back.
    RemoveWatches = 18 "removeWatches",
    /// Creates a container.
    CreateContainer = 19 "createContainer",
    /// Deletes an empty container or an expired TTL znode; internal.
    DeleteContainer = 20 "deleteContainer",
    /// Creates a znode with a time to live.
    CreateTtl = 21 "createTTL",
    /// Several reads at one point in time.
    MultiRead = 22 "multiRead",
    /// Adds an identity to the connection.
    Auth = 100 "auth",
    /// Sets the watches of a reconnected client.
    SetWatches = 101 "setWatches",
    /// One step of a SASL exchange.
    Sasl = 102 "sasl",
    /// Ephemeral znodes of this session.
    GetEphemerals = 103 "getEphemerals",
    /// Number of all descendants.
    GetAllChildrenNumber = 104 "getAllChildrenNumber",
    /// As setWatches, with the persistent kinds.
    SetWatches2 = 105 "setWatches2",
    /// Sets a persistent watch.
    AddWatch = 106 "addWatch",
    /// The identities of this connection.
    WhoAmI = 107 "whoAmI",
    /// Begins a session; internal.
    CreateSession = -10 "createSession",
    /// Ends the session.
    CloseSession = -11 "closeSession",
    /// Not a request: a transaction that failed.
    Error = -1 "error",
}

impl OpCode {
    /// The number on the wire and in the log.
    pub fn number(self) -> i32 {
        self as i32
    }
}
