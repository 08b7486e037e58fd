import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.zookeeper.CreateMode;
import org.apache.zookeeper.KeeperException.Code;
import org.apache.zookeeper.Op;
import org.apache.zookeeper.Watcher.Event.KeeperState;
import org.apache.zookeeper.ZooDefs.Ids;
import org.apache.zookeeper.ZooDefs.Perms;
import org.apache.zookeeper.data.ACL;
import org.apache.zookeeper.data.Id;
import org.apache.zookeeper.data.Stat;
import org.apache.zookeeper.server.auth.DigestAuthenticationProvider;

/** ACLs and identities: each permission, each scheme, the super user. */
final class Security {

    private Security() {
    }

    static void run() throws Exception {
        Checks.check("each permission guards its operations", Security::permissions);
        Checks.check("auth: the creator's identities are written down", Security::creator);
        Checks.check("digest: only after addAuth, in any order of identities", Security::digest);
        Checks.check("ip: address and network", Security::ip);
        Checks.check("invalid ACLs are refused", Security::invalid);
        Checks.check("setACL: version, Stat, getACL", Security::setAcl);
        Checks.check("the super user may do all", Security::superUser);
        Checks.check("an unknown scheme fails the authentication", Security::unknownScheme);
        Checks.check("whoAmI tells the added identities", Security::whoAmI);
        Checks.check("identities are given again after a reconnect", Security::again);
        Checks.check("multi checks each operation", Security::multi);
    }

    /** The client asks the list whether it contains null, which the lists of {@code List.of} do not bear. */
    private static List<ACL> acl(ACL... entries) {
        return Arrays.asList(entries);
    }

    private static List<ACL> only(int perms) {
        return acl(new ACL(perms, Ids.ANYONE_ID_UNSAFE));
    }

    private static void permissions() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            for (int perms : new int[] {Perms.READ, Perms.WRITE, Perms.CREATE, Perms.DELETE, Perms.ADMIN}) {
                String path = root + "/" + perms;
                zk.create(path, null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT);
                Clients.create(zk, path + "/child", "");
                zk.setACL(path, only(perms), -1);
                guarded(perms, Perms.READ, () -> zk.getData(path, false, null));
                guarded(perms, Perms.READ, () -> zk.getChildren(path, false));
                guarded(perms, Perms.READ, () -> zk.getAllChildrenNumber(path));
                guarded(perms, Perms.READ | Perms.ADMIN, () -> zk.getACL(path, new Stat()));
                guarded(perms, Perms.WRITE, () -> zk.setData(path, null, -1));
                guarded(perms, Perms.CREATE, () -> Clients.create(zk, path + "/new", ""));
                guarded(perms, Perms.DELETE, () -> zk.delete(path + "/child", -1));
                guarded(perms, Perms.ADMIN, () -> zk.setACL(path, only(perms), -1));
                guarded(perms, Perms.READ, () -> zk.exists(path, false));
            }
        }
    }

    private static void guarded(int granted, int needed, Checks.Body body) throws Exception {
        if ((granted & needed) != 0) {
            body.run();
        } else {
            Clients.refused(Code.NOAUTH, body);
        }
    }

    private static void creator() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            Clients.refused(Code.INVALIDACL, () -> zk.create(root + "/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT));
            zk.addAuthInfo("digest", Clients.bytes("ann:one"));
            zk.addAuthInfo("digest", Clients.bytes("bob:two"));
            zk.create(root + "/a", null, Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            // Their order is that of a hash table.
            Checks.equal("ACL", Set.of(
                new ACL(Perms.ALL, new Id("digest", DigestAuthenticationProvider.generateDigest("ann:one"))),
                new ACL(Perms.ALL, new Id("digest", DigestAuthenticationProvider.generateDigest("bob:two")))),
                Set.copyOf(zk.getACL(root + "/a", new Stat())));
        }
    }

    private static void digest() throws Exception {
        try (Clients.Client zk = Clients.open(); Clients.Client other = Clients.open()) {
            String root = Clients.root(zk);
            Id ann = new Id("digest", DigestAuthenticationProvider.generateDigest("ann:one"));
            zk.create(root + "/a", null, acl(new ACL(Perms.ALL, ann)), CreateMode.PERSISTENT);
            Clients.refused(Code.NOAUTH, () -> zk.getData(root + "/a", false, null));
            other.addAuthInfo("digest", Clients.bytes("ann:wrong"));
            other.sync(root);
            Clients.refused(Code.NOAUTH, () -> other.getData(root + "/a", false, null));
            other.addAuthInfo("digest", Clients.bytes("ann:one"));
            other.getData(root + "/a", false, null);
            // Who may read but not administer sees the digests of others masked.
            other.setACL(root + "/a", acl(new ACL(Perms.ALL, ann), new ACL(Perms.READ, Ids.ANYONE_ID_UNSAFE)), -1);
            zk.sync(root);
            Checks.equal("masked", "ann:x", zk.getACL(root + "/a", new Stat()).get(0).getId().getId());
            Checks.equal("whole", ann, other.getACL(root + "/a", new Stat()).get(0).getId());
        }
    }

    private static void ip() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            zk.create(root + "/here", null, acl(new ACL(Perms.ALL, new Id("ip", "127.0.0.1"))), CreateMode.PERSISTENT);
            zk.getData(root + "/here", false, null);
            zk.create(root + "/net", null, acl(new ACL(Perms.ALL, new Id("ip", "127.0.0.0/8"))), CreateMode.PERSISTENT);
            zk.getData(root + "/net", false, null);
            zk.create(root + "/away", null, acl(new ACL(Perms.ALL, new Id("ip", "10.0.0.0/8"))), CreateMode.PERSISTENT);
            Clients.refused(Code.NOAUTH, () -> zk.getData(root + "/away", false, null));
        }
    }

    private static void invalid() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            for (Id id : List.of(new Id("world", "someone"), new Id("nosuch", "x"), new Id("ip", "1.2.3"),
                new Id("ip", "1.2.3.4/33"), new Id("digest", "nocolon"), new Id("", ""))) {
                Clients.refused(Code.INVALIDACL, () -> zk.create(root + "/a", null, acl(new ACL(Perms.ALL, id)),
                    CreateMode.PERSISTENT));
            }
            Clients.refused(Code.INVALIDACL, () -> zk.setACL(root, List.of(), -1));
            Checks.equal("nothing is created", null, zk.exists(root + "/a", false));
        }
    }

    private static void setAcl() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            Stat before = zk.exists(root, false);
            Stat after = zk.setACL(root, Ids.READ_ACL_UNSAFE, 0);
            Checks.equal("aversion", 1, after.getAversion());
            before.setAversion(1);
            Checks.equal("all else", before, after);
            Stat read = new Stat();
            Checks.equal("ACL", Ids.READ_ACL_UNSAFE, zk.getACL(root, read));
            Checks.equal("Stat of getACL", after, read);
            String free = Clients.root(zk);
            Clients.refused(Code.BADVERSION, () -> zk.setACL(free, Ids.READ_ACL_UNSAFE, 5));
        }
    }

    private static void superUser() throws Exception {
        try (Clients.Client zk = Clients.open(); Clients.Client root = Clients.open()) {
            String path = Clients.root(zk);
            zk.create(path + "/none", null, only(0), CreateMode.PERSISTENT);
            Clients.refused(Code.NOAUTH, () -> zk.getData(path + "/none", false, null));
            root.addAuthInfo("digest", Clients.bytes("super:test"));
            root.sync(path);
            root.getData(path + "/none", false, null);
            root.setData(path + "/none", Clients.bytes("x"), -1);
            Clients.create(root, path + "/none/child", "");
            root.setACL(path + "/none", Ids.OPEN_ACL_UNSAFE, -1);
            zk.sync(path);
            zk.getData(path + "/none", false, null);
        }
    }

    private static void unknownScheme() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            zk.addAuthInfo("nosuch", Clients.bytes("x"));
            zk.events.awaitState(KeeperState.AuthFailed);
            Clients.refused(Code.AUTHFAILED, () -> zk.exists("/", false));
        }
    }

    private static void whoAmI() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            zk.addAuthInfo("digest", Clients.bytes("ann:one"));
            Checks.equal(List.of("digest ann", "ip 127.0.0.1"),
                zk.whoAmI().stream().map(info -> info.getAuthScheme() + " " + info.getUser()).sorted().toList());
        }
    }

    private static void again() throws Exception {
        try (Proxy proxy = new Proxy(); Clients.Client zk = Clients.open(proxy.connect(), Clients.TIMEOUT_MS)) {
            String root = Clients.root(zk);
            zk.addAuthInfo("digest", Clients.bytes("ann:one"));
            zk.create(root + "/a", Clients.bytes("x"), Ids.CREATOR_ALL_ACL, CreateMode.PERSISTENT);
            proxy.cut();
            zk.events.awaitState(KeeperState.Disconnected);
            proxy.mend();
            zk.events.awaitState(KeeperState.SyncConnected);
            Checks.equal("x", Clients.text(zk.getData(root + "/a", false, null)));
        }
    }

    private static void multi() throws Exception {
        try (Clients.Client zk = Clients.open()) {
            String root = Clients.root(zk);
            zk.create(root + "/closed", null, only(Perms.READ), CreateMode.PERSISTENT);
            Clients.refused(Code.NOAUTH, () -> zk.multi(List.of(
                Op.create(root + "/a", null, Ids.OPEN_ACL_UNSAFE, CreateMode.PERSISTENT),
                Op.setData(root + "/closed", null, -1))));
            Checks.equal("nothing is created", null, zk.exists(root + "/a", false));
            zk.create(root + "/hidden", null, only(Perms.WRITE), CreateMode.PERSISTENT);
            Clients.refused(Code.NOAUTH, () -> zk.multi(List.of(Op.check(root + "/hidden", -1))));
        }
    }
}
