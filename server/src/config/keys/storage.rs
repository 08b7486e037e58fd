//! Properties of storage, of the tree and of the request pipeline.

use super::{Key, Kind, Place, Status, key, refused_unless, warned, warned_unless};
use Status::{Accepted, Honoured};

const fn property(name: &'static str, kind: Kind, default: &'static str, about: &'static str, status: Status) -> Key {
    key(Place::Property, name, kind, default, about, status)
}

const OWN_FILES: &str = "the files of this server have a format of their own, to which this does \
     not apply";

const NO_REPLY_CACHE: Status =
    Accepted("replies are written straight from the tree; there is no cache of them to be sized");

const OTHER_WATCHES: &str = "watches are kept in another way here, which needs no cleaner";

const NO_PATH_STATS: &str = "requests are not counted by path here";

pub(super) static KEYS: &[Key] = &[
    property("snapCount", Kind::Int, "100000", "Transactions between two snapshots, at least 2", Honoured),
    property(
        "snapSizeLimitInKb",
        Kind::Long,
        "4194304",
        "Log written between two snapshots, KB; 0 or less: no limit",
        Honoured,
    ),
    property(
        "txnLogSizeLimitInKb",
        Kind::Long,
        "-1",
        "Size at which a new log file is begun, KB",
        warned_unless(&["-1"], "log files are begun at a size that this server chooses"),
    ),
    property(
        "preAllocSize",
        Kind::PlainLong,
        "65536",
        "Size by which the log file is extended ahead of writing, KB",
        Honoured,
    ),
    property(
        "forceSync",
        Kind::Exactly("no", "yes"),
        "yes",
        "no: transactions are acknowledged before they are flushed to disk",
        Honoured,
    ),
    key(
        Place::PropertyOrBare,
        "fsync.warningthresholdms",
        Kind::Long,
        "1000",
        "A flush that takes longer is logged, ms",
        Honoured,
    ),
    property("flushDelay", Kind::Long, "0", "How long a transaction may wait for others before a flush, ms", Honoured),
    property(
        "maxWriteQueuePollTime",
        Kind::Long,
        "",
        "How long to wait for a further transaction with flushDelay, ms; a third of flushDelay if absent",
        Honoured,
    ),
    property("maxBatchSize", Kind::Int, "1000", "Transactions that are flushed at once; 0 or less: no limit", Honoured),
    property(
        "snapshot.compression.method",
        Kind::OneOf(&["", "gz", "snappy"]),
        "",
        "Compression of snapshots",
        warned_unless(&[""], OWN_FILES),
    ),
    property(
        "snapshot.trust.empty",
        Kind::Bool,
        "false",
        "Starts although snapshots are missing",
        refused_unless(
            &["false"],
            "a start with half of the data is never allowed here. Remove the key; to begin anew, give an empty dataDir",
        ),
    ),
    property(
        "serializeLastProcessedZxid.enabled",
        Kind::Bool,
        "true",
        "Snapshots hold the last zxid",
        warned_unless(&["true"], OWN_FILES),
    ),
    property("digest.enabled", Kind::Bool, "true", "Keeps a digest of the tree with each transaction", Honoured),
    property(
        "closeSessionTxn.enabled",
        Kind::Bool,
        "true",
        "The transaction that closes a session names its ephemeral znodes",
        Honoured,
    ),
    property(
        "datadir.autocreate",
        Kind::Bool,
        "true",
        "Creates dataDir and dataLogDir where they are missing",
        Honoured,
    ),
    property(
        "db.autocreate",
        Kind::Bool,
        "true",
        "false: a member without data does not vote until a leader has filled it, or it finds a file initialize in dataLogDir",
        Honoured,
    ),
    property("extendedTypesEnabled", Kind::Bool, "false", "Allows TTL znodes", Honoured),
    property("emulate353TTLNodes", Kind::Bool, "false", "Reads the TTL znodes of 3.5.3 as such", Honoured),
    property(
        "globalOutstandingLimit",
        Kind::Int,
        "1000",
        "Requests in work before connections are read no further; of three voters or more each has this divided by their number less one",
        Honoured,
    ),
    property(
        "throttled_op_wait_time",
        Kind::Int,
        "0",
        "A request that waited longer is answered with THROTTLEDOP, ms; 0: never",
        warned_unless(&["0"], "requests are held back in the socket, where nobody knows how long they wait"),
    ),
    property(
        "request_throttle_max_requests",
        Kind::Int,
        "0",
        "Requests in work before further ones wait; 0: no limit",
        Honoured,
    ),
    property(
        "request_throttle_stall_time",
        Kind::Int,
        "100",
        "How long such a request waits before it looks again, ms",
        Honoured,
    ),
    property(
        "request_throttle_drop_stale",
        Kind::Bool,
        "true",
        "Drops requests whose connection is gone",
        Accepted("requests of a closed connection never enter the pipeline"),
    ),
    property(
        "request_stale_connection_check",
        Kind::Bool,
        "true",
        "A request of a closed connection is stale",
        Accepted("requests of a closed connection never enter the pipeline"),
    ),
    property(
        "request_stale_latency_check",
        Kind::Bool,
        "false",
        "A request older than its session's timeout is stale",
        warned_unless(&["false"], "requests are held back in the socket, where nobody knows how old they are"),
    ),
    property(
        "request_throttler.shutdownTimeout",
        Kind::Int,
        "10000",
        "How long a stop waits for waiting requests, ms",
        warned("a stop never waits for requests that were held back"),
    ),
    property("largeRequestMaxBytes", Kind::Int, "104857600", "Bytes of all large requests in work", Honoured),
    property("largeRequestThreshold", Kind::Int, "-1", "Bytes from which a request is large; -1: none is", Honoured),
    property(
        "jute.maxbuffer.extrasize",
        Kind::Int,
        "",
        "Added to jute.maxbuffer for what the server itself wrote, bytes; as jute.maxbuffer if absent, at least 1024",
        Honoured,
    ),
    property("maxResponseCacheSize", Kind::Int, "400", "Cached replies of getData", NO_REPLY_CACHE),
    property("maxGetChildrenResponseCacheSize", Kind::Int, "400", "Cached replies of getChildren", NO_REPLY_CACHE),
    property(
        "intBufferStartingSizeBytes",
        Kind::Int,
        "1024",
        "First size of buffers, bytes",
        Accepted("buffers grow by themselves here"),
    ),
    property(
        "enableEagerACLCheck",
        Kind::Bool,
        "false",
        "Checks permissions before a request is agreed upon",
        warned_unless(
            &["false"],
            "permissions are checked by the leader only, and a refusal takes its place in the order",
        ),
    ),
    property("skipACL", Kind::Exactly("yes", "no"), "no", "yes: permissions are not checked", Honoured),
    property("enforceQuota", Kind::Bool, "false", "Refuses writes beyond a hard quota", Honoured),
    property(
        "watchManagerName",
        Kind::OneOf(&[
            "org.apache.zookeeper.server.watch.WatchManager",
            "org.apache.zookeeper.server.watch.WatchManagerOptimized",
        ]),
        "org.apache.zookeeper.server.watch.WatchManager",
        "How watches are kept",
        warned_unless(&["org.apache.zookeeper.server.watch.watchmanager"], OTHER_WATCHES),
    ),
    property(
        "watcherCleanThreshold",
        Kind::Int,
        "1000",
        "Closed watchers that start the cleaner",
        warned(OTHER_WATCHES),
    ),
    property(
        "watcherCleanIntervalInSeconds",
        Kind::Int,
        "600",
        "Time between two runs of the cleaner, s",
        warned(OTHER_WATCHES),
    ),
    property("watcherCleanThreadsNum", Kind::Int, "2", "Threads of the cleaner", warned(OTHER_WATCHES)),
    property("maxInProcessingDeadWatchers", Kind::Int, "-1", "Closed watchers that may wait", warned(OTHER_WATCHES)),
    property("bitHashCacheSize", Kind::Int, "10", "Cache of the optimized manager", warned(OTHER_WATCHES)),
    property(
        "pathStats.enabled",
        Kind::Bool,
        "false",
        "Logs the busiest paths",
        warned_unless(&["false"], NO_PATH_STATS),
    ),
    property("pathStats.slotCapacity", Kind::Int, "60", "Slots that are kept", warned(NO_PATH_STATS)),
    property("pathStats.slotDuration", Kind::Int, "15", "Length of a slot, s", warned(NO_PATH_STATS)),
    property("pathStats.maxDepth", Kind::Int, "6", "Depth to which paths are counted", warned(NO_PATH_STATS)),
    property(
        "pathStats.sampleRate",
        Kind::StrictReal,
        "0.1",
        "Share of requests that is counted",
        warned(NO_PATH_STATS),
    ),
    property("pathStats.initialDelay", Kind::Long, "5", "Time to the first line, min", warned(NO_PATH_STATS)),
    property("pathStats.delay", Kind::Long, "5", "Time between two lines, min", warned(NO_PATH_STATS)),
    property("pathStats.topPathMax", Kind::Int, "20", "Paths that are logged", warned(NO_PATH_STATS)),
];
