//! Result codes (`KeeperException.Code`).

macro_rules! error_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal,)*) => {
        /// The result of an operation, as it stands in a reply header or a multi's result.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(i32)]
        pub enum ErrorCode { $($(#[$doc])* $name = $code,)* }

        impl ErrorCode {
            /// The code of this number, if it has a name.
            pub fn from_number(number: i32) -> Option<Self> {
                match number { $($code => Some(Self::$name),)* _ => None }
            }
        }
    };
}

error_codes! {
    /// Success.
    Ok = 0,
    /// An unexpected failure of the server.
    SystemError = -1,
    /// Also: an operation of a multi behind the one that failed.
    RuntimeInconsistency = -2,
    /// The server's data contradict themselves.
    DataInconsistency = -3,
    /// The connection was lost; only clients make it up.
    ConnectionLoss = -4,
    /// The request could not be decoded.
    MarshallingError = -5,
    /// Unknown operation, or one that this server does not do.
    Unimplemented = -6,
    /// Took too long.
    OperationTimeout = -7,
    /// Malformed path or other argument.
    BadArguments = -8,
    /// No such session.
    UnknownSession = -12,
    /// No quorum of the new configuration is connected and in sync.
    NewConfigNoQuorum = -13,
    /// Another reconfiguration is under way.
    ReconfigInProgress = -14,
    /// Errors below this one are about the system, above it about the call.
    ApiError = -100,
    /// The znode does not exist.
    NoNode = -101,
    /// The ACL does not permit it.
    NoAuth = -102,
    /// The version given is not the znode's.
    BadVersion = -103,
    /// Ephemeral znodes have no children.
    NoChildrenForEphemerals = -108,
    /// The znode exists already.
    NodeExists = -110,
    /// The znode has children.
    NotEmpty = -111,
    /// The session is over.
    SessionExpired = -112,
    /// A client's callback is wrong.
    InvalidCallback = -113,
    /// The ACL is not valid.
    InvalidAcl = -114,
    /// Authentication failed.
    AuthFailed = -115,
    /// The session lives on another connection; never sent, the connection is closed instead.
    SessionMoved = -118,
    /// A write came to a read-only server.
    NotReadOnly = -119,
    /// An ephemeral znode was asked for by a local session.
    EphemeralOnLocalSession = -120,
    /// No such watch.
    NoWatcher = -121,
    /// Timed out; only clients make it up.
    RequestTimeout = -122,
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123,
    /// The server demands authentication.
    SessionClosedRequireSaslAuth = -124,
    /// A hard quota would be exceeded.
    QuotaExceeded = -125,
    /// The request waited too long in the throttle.
    ThrottledOp = -127,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn number(self) -> i32 {
        self as i32
    }
}
