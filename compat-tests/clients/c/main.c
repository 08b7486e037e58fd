/* The C client (libzookeeper_mt) against the server that ZK_CONNECT names; SERVER_CTL restarts it.
 * Synchronous and asynchronous calls, watches, multi, ACLs, sessions. Each check prints one line. */
#define THREADED
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zookeeper/zookeeper.h>

/* How long an event, a reply or a reconnect may take, in seconds. */
#define PATIENCE 30
#define SESSION_MS 10000
#define PATH_BYTES 256
/* More events than any check leaves unread. */
#define EVENTS_BOUND 4096

static int passed, failed;
static jmp_buf check_failed;
static char problem[1024];

/* Ends the running check; called from the main thread only. */
static void fail(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vsnprintf(problem, sizeof problem, format, args);
    va_end(args);
    longjmp(check_failed, 1);
}

static void equal_int(const char *what, long long expected, long long actual) {
    if (expected != actual) fail("%s: expected %lld, got %lld", what, expected, actual);
}

static void equal_text(const char *what, const char *expected, const char *actual) {
    if (strcmp(expected, actual) != 0) fail("%s: expected <%s>, got <%s>", what, expected, actual);
}

static void check(const char *name, void (*body)(void)) {
    if (setjmp(check_failed) == 0) {
        body();
        passed++;
        printf("ok   %s\n", name);
    } else {
        failed++;
        printf("FAIL %s: %s\n", name, problem);
    }
    fflush(stdout);
}

/* What a client's watchers were told: events of znodes in order, and the last state of the connection. */
struct client {
    zhandle_t *zh;
    pthread_mutex_t guard;
    pthread_cond_t changed;
    char events[EVENTS_BOUND][PATH_BYTES];
    int events_end, events_read;
    int state, connects;
};

static const char *kind(int type) {
    if (type == ZOO_CREATED_EVENT) return "created";
    if (type == ZOO_DELETED_EVENT) return "deleted";
    if (type == ZOO_CHANGED_EVENT) return "changed";
    if (type == ZOO_CHILD_EVENT) return "child";
    return "other";
}

static void watcher(zhandle_t *zh, int type, int state, const char *path, void *context) {
    struct client *client = (struct client *)zoo_get_context(zh);
    (void)context;
    pthread_mutex_lock(&client->guard);
    if (type == ZOO_SESSION_EVENT) {
        client->state = state;
        if (state == ZOO_CONNECTED_STATE) client->connects++;
    } else if (client->events_end < EVENTS_BOUND) {
        snprintf(client->events[client->events_end++], PATH_BYTES, "%s %s", kind(type), path);
    }
    pthread_cond_broadcast(&client->changed);
    pthread_mutex_unlock(&client->guard);
}

static struct timespec deadline(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += PATIENCE;
    return at;
}

/* The first of two states that the connection comes into. */
static int await_either(struct client *client, int one, int other) {
    struct timespec end = deadline();
    int late = 0, state;
    pthread_mutex_lock(&client->guard);
    while (client->state != one && client->state != other && !late)
        late = pthread_cond_timedwait(&client->changed, &client->guard, &end);
    state = client->state;
    pthread_mutex_unlock(&client->guard);
    if (late) fail("the connection is in state %d, and did not come into %d or %d", state, one, other);
    return state;
}

static void await_state(struct client *client, int state) { await_either(client, state, state); }

static void expect_event(struct client *client, const char *type, const char *path) {
    char expected[PATH_BYTES], got[PATH_BYTES] = "nothing";
    struct timespec end = deadline();
    int late = 0;
    snprintf(expected, sizeof expected, "%s %s", type, path);
    pthread_mutex_lock(&client->guard);
    while (client->events_read == client->events_end && !late)
        late = pthread_cond_timedwait(&client->changed, &client->guard, &end);
    if (!late) memcpy(got, client->events[client->events_read++], PATH_BYTES);
    pthread_mutex_unlock(&client->guard);
    equal_text("event", expected, got);
}

static struct client *open_client(const char *connect, int timeout_ms, const clientid_t *id) {
    struct client *client = calloc(1, sizeof *client);
    pthread_mutex_init(&client->guard, NULL);
    pthread_cond_init(&client->changed, NULL);
    client->zh = zookeeper_init(connect, watcher, timeout_ms, id, client, 0);
    if (!client->zh) fail("zookeeper_init failed");
    return client;
}

static struct client *connected(void) {
    struct client *client = open_client(getenv("ZK_CONNECT"), SESSION_MS, NULL);
    await_state(client, ZOO_CONNECTED_STATE);
    return client;
}

/* The memory stays: the library's threads may have looked at it last. */
static void close_client(struct client *client) { equal_int("close", ZOK, zookeeper_close(client->zh)); }

static struct client *main_client;

static void root(char *path) {
    static int count;
    snprintf(path, PATH_BYTES, "/c-%d", ++count);
    equal_int("root", ZOK, zoo_create(main_client->zh, path, "", 0, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0));
}

static char *under(char *out, const char *path, const char *name) {
    snprintf(out, PATH_BYTES, "%.200s/%s", path, name);
    return out;
}

static int make(struct client *client, const char *path, int flags, char *created) {
    return zoo_create(client->zh, path, "data", 4, &ZOO_OPEN_ACL_UNSAFE, flags, created, created ? PATH_BYTES : 0);
}

/* What others have written before is there for this client, whichever members of an ensemble they are with. */
static struct {
    pthread_mutex_t guard;
    pthread_cond_t changed;
    int done, code;
} synced = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void on_sync(int rc, const char *path, const void *number) {
    (void)path;
    pthread_mutex_lock(&synced.guard);
    synced.done = (int)(long)number;
    synced.code = rc;
    pthread_cond_broadcast(&synced.changed);
    pthread_mutex_unlock(&synced.guard);
}

static void catch_up(struct client *client) {
    static int count;
    struct timespec end = deadline();
    int late = 0, code;
    equal_int("sync", ZOK, zoo_async(client->zh, "/", on_sync, (void *)(long)++count));
    pthread_mutex_lock(&synced.guard);
    while (synced.done != count && !late) late = pthread_cond_timedwait(&synced.changed, &synced.guard, &end);
    code = synced.code;
    pthread_mutex_unlock(&synced.guard);
    if (late) fail("no answer to a sync");
    equal_int("sync", ZOK, code);
}

static void control(const char *verb) {
    char command[1024];
    snprintf(command, sizeof command, "%s %s", getenv("SERVER_CTL"), verb);
    equal_int(command, 0, system(command));
}

static void basics(void) {
    zhandle_t *zh = main_client->zh;
    char at[PATH_BYTES], path[PATH_BYTES], data[64];
    int length = sizeof data;
    struct Stat created, read, set;
    root(at);
    under(path, at, "a");
    equal_int("create2", ZOK, zoo_create2(zh, path, "data", 4, &ZOO_OPEN_ACL_UNSAFE, 0, NULL, 0, &created));
    equal_int("get", ZOK, zoo_get(zh, path, 0, data, &length, &read));
    equal_int("length", 4, length);
    equal_int("bytes", 0, memcmp("data", data, 4));
    equal_int("czxid", created.czxid, read.czxid);
    equal_int("pzxid and czxid", read.czxid, read.pzxid);
    equal_int("mtime", created.mtime, read.mtime);
    equal_int("dataLength", 4, read.dataLength);
    equal_int("set2", ZOK, zoo_set2(zh, path, "longer", 6, 0, &set));
    equal_int("version", 1, set.version);
    equal_int("set with an old version", ZBADVERSION, zoo_set(zh, path, "", 0, 0));
    equal_int("null data", ZOK, zoo_set2(zh, path, NULL, -1, 1, &set));
    length = sizeof data;
    equal_int("get", ZOK, zoo_get(zh, path, 0, data, &length, NULL));
    equal_int("length of null", -1, length);
    equal_int("delete with an old version", ZBADVERSION, zoo_delete(zh, path, 0));
    equal_int("delete", ZOK, zoo_delete(zh, path, 2));
    equal_int("exists", ZNONODE, zoo_exists(zh, path, 0, &read));
}

static void modes(void) {
    zhandle_t *zh = main_client->zh;
    char at[PATH_BYTES], path[PATH_BYTES], created[PATH_BYTES], expected[PATH_BYTES];
    struct Stat stat;
    root(at);
    equal_int("sequential", ZOK, make(main_client, under(path, at, "s"), ZOO_PERSISTENT_SEQUENTIAL, created));
    equal_text("path", under(expected, at, "s0000000000"), created);
    equal_int("ephemeral sequential", ZOK, make(main_client, path, ZOO_EPHEMERAL_SEQUENTIAL, created));
    equal_text("path", under(expected, at, "s0000000001"), created);
    equal_int("owner", ZOK, zoo_exists(zh, created, 0, &stat));
    equal_int("owner", zoo_client_id(zh)->client_id, stat.ephemeralOwner);
    equal_int("TTL", ZOK, zoo_create_ttl(zh, under(path, at, "t"), "", 0, &ZOO_OPEN_ACL_UNSAFE,
                                         ZOO_PERSISTENT_SEQUENTIAL_WITH_TTL, 600000, created, PATH_BYTES));
    equal_text("path", under(expected, at, "t0000000002"), created);
    equal_int("container", ZOK, make(main_client, under(path, at, "c"), ZOO_CONTAINER, NULL));
    equal_int("child", ZOK, make(main_client, under(created, path, "child"), 0, NULL));
    equal_int("child goes", ZOK, zoo_delete(zh, created, -1));
    for (int tries = 0; zoo_exists(zh, path, 0, &stat) == ZOK; tries++) {
        if (tries > PATIENCE * 50) fail("the emptied container stays");
        usleep(20000);
    }
}

static void children(void) {
    zhandle_t *zh = main_client->zh;
    char at[PATH_BYTES], path[PATH_BYTES];
    struct String_vector names;
    struct Stat stat;
    root(at);
    make(main_client, under(path, at, "b"), 0, NULL);
    make(main_client, under(path, at, "a"), 0, NULL);
    equal_int("get_children2", ZOK, zoo_get_children2(zh, at, 0, &names, &stat));
    equal_int("names", 2, names.count);
    equal_int("numChildren", 2, stat.numChildren);
    equal_int("cversion", 2, stat.cversion);
    deallocate_String_vector(&names);
    equal_int("get_children", ZOK, zoo_get_children(zh, path, 0, &names));
    equal_int("names", 0, names.count);
    deallocate_String_vector(&names);
}

static void errors(void) {
    zhandle_t *zh = main_client->zh;
    char at[PATH_BYTES], path[PATH_BYTES], data[8];
    int length = sizeof data;
    struct ACL_vector none = {0, NULL};
    root(at);
    equal_int("exists already", ZNODEEXISTS, make(main_client, at, 0, NULL));
    equal_int("no parent", ZNONODE, make(main_client, under(path, at, "x/y"), 0, NULL));
    equal_int("get", ZNONODE, zoo_get(zh, path, 0, data, &length, NULL));
    equal_int("relative path", ZBADARGUMENTS, make(main_client, "relative", 0, NULL));
    equal_int("no ACL", ZINVALIDACL, zoo_create(zh, under(path, at, "x"), "", 0, &none, 0, NULL, 0));
    equal_int("ephemeral", ZOK, make(main_client, under(path, at, "e"), ZOO_EPHEMERAL, NULL));
    equal_int("not empty", ZNOTEMPTY, zoo_delete(zh, at, -1));
    equal_int("child of an ephemeral", ZNOCHILDRENFOREPHEMERALS, make(main_client, under(path, at, "e/x"), 0, NULL));
    equal_int("the root", ZBADARGUMENTS, zoo_delete(zh, "/zookeeper", -1));
}

static void watches(void) {
    zhandle_t *zh = main_client->zh;
    struct client *other = connected();
    char at[PATH_BYTES], path[PATH_BYTES], data[8];
    int length = sizeof data;
    struct String_vector names;
    root(at);
    under(path, at, "a");
    equal_int("exists", ZNONODE, zoo_exists(zh, path, 1, NULL));
    equal_int("create", ZOK, make(other, path, 0, NULL));
    expect_event(main_client, "created", path);
    equal_int("get", ZOK, zoo_get(zh, path, 1, data, &length, NULL));
    equal_int("children", ZOK, zoo_get_children(zh, at, 1, &names));
    deallocate_String_vector(&names);
    equal_int("set", ZOK, zoo_set(other->zh, path, "x", 1, -1));
    expect_event(main_client, "changed", path);
    equal_int("exists", ZOK, zoo_exists(zh, path, 1, NULL));
    equal_int("delete", ZOK, zoo_delete(other->zh, path, -1));
    expect_event(main_client, "deleted", path);
    expect_event(main_client, "child", at);
    equal_int("exists", ZNONODE, zoo_exists(zh, path, 1, NULL));
    equal_int("remove", ZOK, zoo_remove_all_watches(zh, path, ZWATCHTYPE_DATA, 0));
    equal_int("remove again", ZNOWATCHER, zoo_remove_all_watches(zh, path, ZWATCHTYPE_DATA, 0));
    close_client(other);
}

static void multi(void) {
    zhandle_t *zh = main_client->zh;
    char at[PATH_BYTES], a[PATH_BYTES], b[PATH_BYTES], missing[PATH_BYTES], created[PATH_BYTES];
    struct Stat stat;
    zoo_op_t ops[4];
    zoo_op_result_t results[4];
    root(at);
    under(a, at, "a");
    under(b, at, "b");
    under(missing, at, "missing");
    zoo_create_op_init(&ops[0], a, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, created, PATH_BYTES);
    zoo_set_op_init(&ops[1], a, "yy", 2, 0, &stat);
    zoo_check_op_init(&ops[2], a, 1);
    zoo_delete_op_init(&ops[3], a, 1);
    equal_int("multi", ZOK, zoo_multi(zh, 4, ops, results));
    equal_text("created", a, created);
    equal_int("version", 1, stat.version);
    zoo_create_op_init(&ops[0], b, "x", 1, &ZOO_OPEN_ACL_UNSAFE, 0, created, PATH_BYTES);
    zoo_delete_op_init(&ops[1], missing, -1);
    zoo_check_op_init(&ops[2], at, -1);
    equal_int("multi", ZNONODE, zoo_multi(zh, 3, ops, results));
    equal_int("first", ZOK, results[0].err);
    equal_int("second", ZNONODE, results[1].err);
    equal_int("third", ZRUNTIMEINCONSISTENCY, results[2].err);
    equal_int("undone", ZNONODE, zoo_exists(zh, b, 0, &stat));
}

static void security(void) {
    struct client *owner = connected();
    char at[PATH_BYTES], path[PATH_BYTES], data[8];
    int length = sizeof data;
    struct ACL_vector acl;
    struct Stat stat;
    root(at);
    under(path, at, "a");
    equal_int("add_auth", ZOK, zoo_add_auth(owner->zh, "digest", "user:password", 13, NULL, NULL));
    equal_int("create", ZOK, zoo_create(owner->zh, path, "x", 1, &ZOO_CREATOR_ALL_ACL, 0, NULL, 0));
    catch_up(main_client);
    equal_int("other", ZNOAUTH, zoo_get(main_client->zh, path, 0, data, &length, NULL));
    equal_int("owner", ZOK, zoo_get(owner->zh, path, 0, data, &length, NULL));
    equal_int("get_acl", ZOK, zoo_get_acl(owner->zh, path, &acl, &stat));
    equal_int("entries", 1, acl.count);
    equal_text("scheme", "digest", acl.data[0].id.scheme);
    equal_text("id", "user:tpUq/4Pn5A64fVZyQ0gOJ8ZWqkY=", acl.data[0].id.id);
    deallocate_ACL_vector(&acl);
    equal_int("set_acl", ZOK, zoo_set_acl(owner->zh, path, 0, &ZOO_OPEN_ACL_UNSAFE));
    catch_up(main_client);
    equal_int("other", ZOK, zoo_get(main_client->zh, path, 0, data, &length, NULL));
    close_client(owner);
}

/* Asynchronous calls: replies must come in the order of the requests. */
#define PIPELINED 2000
static struct {
    pthread_mutex_t guard;
    pthread_cond_t changed;
    int done, wrong;
} replies = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, 0};

static void on_set(int rc, const struct Stat *stat, const void *number) {
    pthread_mutex_lock(&replies.guard);
    if (rc != ZOK || replies.done != (int)(long)number || stat->version != replies.done + 1) replies.wrong++;
    replies.done++;
    pthread_cond_broadcast(&replies.changed);
    pthread_mutex_unlock(&replies.guard);
}

static void pipelined(void) {
    char at[PATH_BYTES];
    struct timespec end = deadline();
    int late = 0;
    root(at);
    for (long i = 0; i < PIPELINED; i++)
        equal_int("aset", ZOK, zoo_aset(main_client->zh, at, "x", 1, (int)i, on_set, (void *)i));
    pthread_mutex_lock(&replies.guard);
    while (replies.done < PIPELINED && !late) late = pthread_cond_timedwait(&replies.changed, &replies.guard, &end);
    pthread_mutex_unlock(&replies.guard);
    equal_int("replies", PIPELINED, replies.done);
    equal_int("replies out of order", 0, replies.wrong);
}

static void wrong_password(void) {
    struct client *owner = connected(), *stranger;
    clientid_t wrong = *zoo_client_id(owner->zh);
    char at[PATH_BYTES], path[PATH_BYTES];
    int code;
    root(at);
    equal_int("ephemeral", ZOK, make(owner, under(path, at, "e"), ZOO_EPHEMERAL, NULL));
    wrong.passwd[0] ^= 1;
    stranger = open_client(getenv("ZK_CONNECT"), SESSION_MS, &wrong);
    await_state(stranger, ZOO_EXPIRED_SESSION_STATE);
    zookeeper_close(stranger->zh);
    /* A server that both were with has closed the owner's connection, as Apache ZooKeeper does. */
    for (int tries = 0; (code = zoo_set(owner->zh, path, "x", 1, -1)) == ZCONNECTIONLOSS; tries++) {
        if (tries > PATIENCE * 50) fail("the session's owner is not connected any more");
        usleep(20000);
    }
    equal_int("set", ZOK, code);
    close_client(owner);
}

/* Whether what a session owned goes, if somebody has closed it. A close is lost if the other client of the session takes the
 * connection from the one that asks for it, which it does when it comes back to the same server: the C client does not wait
 * for the answer. */
#define CLOSE_TRIES 100

static int is_gone(const char *path) {
    for (int tries = 0; tries < CLOSE_TRIES; tries++) {
        catch_up(main_client);
        if (zoo_exists(main_client->zh, path, 0, NULL) == ZNONODE) return 1;
        usleep(20000);
    }
    return 0;
}

static void sessions(void) {
    struct client *first = connected(), *second;
    clientid_t id = *zoo_client_id(first->zh);
    char at[PATH_BYTES], path[PATH_BYTES];
    int resumed = 0;
    struct timespec now, end = deadline();
    root(at);
    equal_int("ephemeral", ZOK, make(first, under(path, at, "e"), ZOO_EPHEMERAL, NULL));
    do {
        clock_gettime(CLOCK_REALTIME, &now);
        if (now.tv_sec > end.tv_sec) fail("the session cannot be closed");
        second = open_client(getenv("ZK_CONNECT"), SESSION_MS, &id);
        if (await_either(second, ZOO_CONNECTED_STATE, ZOO_EXPIRED_SESSION_STATE) == ZOO_CONNECTED_STATE) {
            equal_int("id", id.client_id, zoo_client_id(second->zh)->client_id);
            resumed = 1;
        }
        zookeeper_close(second->zh);
    } while (!is_gone(path));
    equal_int("resumed", 1, resumed);
    /* Once it is over, it is over for the other client too. */
    await_state(first, ZOO_EXPIRED_SESSION_STATE);
    zookeeper_close(first->zh);
}

static void chroot_prefix(void) {
    char at[PATH_BYTES], connect[PATH_BYTES], created[PATH_BYTES], path[PATH_BYTES];
    struct client *inside;
    root(at);
    snprintf(connect, sizeof connect, "%.100s%.100s", getenv("ZK_CONNECT"), at);
    inside = open_client(connect, SESSION_MS, NULL);
    await_state(inside, ZOO_CONNECTED_STATE);
    equal_int("create", ZOK, make(inside, "/a", 0, created));
    equal_text("path", "/a", created);
    catch_up(main_client);
    equal_int("from outside", ZOK, zoo_exists(main_client->zh, under(path, at, "a"), 0, NULL));
    close_client(inside);
}

static void restart(void) {
    struct client *client = open_client(getenv("ZK_CONNECT"), 40000, NULL);
    char at[PATH_BYTES], path[PATH_BYTES], data[8];
    int length = sizeof data, connects;
    struct Stat stat;
    int64_t id;
    await_state(client, ZOO_CONNECTED_STATE);
    id = zoo_client_id(client->zh)->client_id;
    connects = client->connects;
    root(at);
    equal_int("ephemeral", ZOK, make(client, under(path, at, "e"), ZOO_EPHEMERAL, NULL));
    equal_int("watch", ZOK, zoo_get(client->zh, path, 1, data, &length, NULL));
    control("kill9");
    control("start");
    for (int tries = 0; client->connects == connects; tries++) {
        if (tries > PATIENCE * 50) fail("no reconnect");
        usleep(20000);
    }
    equal_int("session", id, zoo_client_id(client->zh)->client_id);
    equal_int("get", ZOK, zoo_exists(client->zh, path, 0, &stat));
    equal_int("owner", id, stat.ephemeralOwner);
    equal_int("set", ZOK, zoo_set(client->zh, path, "x", 1, -1));
    expect_event(client, "changed", path);
    close_client(client);
}

static void connect_main(void) { main_client = connected(); }

int main(void) {
    zoo_set_debug_level(0);
    check("connect", connect_main);
    if (failed == 0) {
        check("create2, get, set2, delete and versions", basics);
        check("create modes, containers go", modes);
        check("children", children);
        check("error codes", errors);
        check("watches: created, changed, child, deleted, removed", watches);
        check("multi: all or nothing", multi);
        check("digest authentication and ACLs", security);
        check("2,000 asynchronous sets answered in order", pipelined);
        check("sessions: a wrong password", wrong_password);
        check("sessions: resumed, closed elsewhere", sessions);
        check("chroot", chroot_prefix);
        check("kill -9 and start: session, ephemeral, watch live on", restart);
    }
    printf("%d passed, %d failed\n", passed, failed);
    fflush(stdout);
    _exit(failed > 0);
}
