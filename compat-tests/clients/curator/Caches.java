import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.cache.ChildData;
import org.apache.curator.framework.recipes.cache.CuratorCache;
import org.apache.curator.framework.recipes.cache.CuratorCacheListener;
import org.apache.curator.framework.recipes.cache.NodeCache;
import org.apache.curator.framework.recipes.cache.PathChildrenCache;
import org.apache.curator.framework.recipes.cache.TreeCache;
import org.apache.curator.utils.ZKPaths;

/** Local mirrors of znodes, children and subtrees. */
@SuppressWarnings("deprecation")
final class Caches {

    private final CuratorFramework client;
    private final CuratorFramework other;

    Caches(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("NodeCache", this::nodeCache);
        Checks.check("PathChildrenCache", this::pathChildrenCache);
        Checks.check("TreeCache", this::treeCache);
        Checks.check("CuratorCache on persistent recursive watches", this::curatorCache);
    }

    private static Byte first(ChildData data) {
        return data == null ? null : data.getData()[0];
    }

    private void nodeCache() throws Exception {
        try (NodeCache cache = new NodeCache(client, "/nodecache")) {
            cache.start(true);
            other.create().forPath("/nodecache", new byte[] {1});
            Checks.eventually("created", (byte) 1, () -> first(cache.getCurrentData()));
            other.setData().forPath("/nodecache", new byte[] {2});
            Checks.eventually("changed", (byte) 2, () -> first(cache.getCurrentData()));
            other.delete().forPath("/nodecache");
            Checks.eventually("deleted", null, () -> first(cache.getCurrentData()));
        }
    }

    private void pathChildrenCache() throws Exception {
        client.create().forPath("/pathcache");
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        try (PathChildrenCache cache = new PathChildrenCache(client, "/pathcache", true)) {
            cache.getListenable().addListener((c, event) -> {
                if (event.getData() != null) {
                    events.add(event.getType() + " " + ZKPaths.getNodeFromPath(event.getData().getPath()));
                }
            });
            cache.start(PathChildrenCache.StartMode.BUILD_INITIAL_CACHE);
            other.create().forPath("/pathcache/a", new byte[] {1});
            Checks.equal("CHILD_ADDED a", events.poll(30, TimeUnit.SECONDS));
            other.setData().forPath("/pathcache/a", new byte[] {2});
            Checks.equal("CHILD_UPDATED a", events.poll(30, TimeUnit.SECONDS));
            Checks.equal((byte) 2, first(cache.getCurrentData("/pathcache/a")));
            other.delete().forPath("/pathcache/a");
            Checks.equal("CHILD_REMOVED a", events.poll(30, TimeUnit.SECONDS));
        }
    }

    private void treeCache() throws Exception {
        other.create().creatingParentsIfNeeded().forPath("/treecache/a/b", new byte[] {1});
        try (TreeCache cache = new TreeCache(client, "/treecache")) {
            cache.start();
            Checks.eventually("loaded", (byte) 1, () -> first(cache.getCurrentData("/treecache/a/b")));
            other.create().forPath("/treecache/a/b/c", new byte[] {3});
            Checks.eventually("created", (byte) 3, () -> first(cache.getCurrentData("/treecache/a/b/c")));
            other.delete().deletingChildrenIfNeeded().forPath("/treecache/a");
            Checks.eventually("deleted", 0, () -> cache.getCurrentChildren("/treecache").size());
        }
    }

    private void curatorCache() throws Exception {
        other.create().creatingParentsIfNeeded().forPath("/ccache/a/b", new byte[] {1});
        Main.catchUp(client);
        BlockingQueue<String> events = new LinkedBlockingQueue<>();
        try (CuratorCache cache = CuratorCache.build(client, "/ccache")) {
            java.util.concurrent.CountDownLatch loaded = new java.util.concurrent.CountDownLatch(1);
            cache.listenable().addListener(CuratorCacheListener.builder().afterInitialized()
                .forAll((type, old, now) -> events.add(type + " " + (now == null ? old : now).getPath())).build());
            cache.listenable().addListener(CuratorCacheListener.builder().forInitialized(loaded::countDown).build());
            cache.start();
            Checks.isTrue("loaded", loaded.await(30, TimeUnit.SECONDS));
            other.create().forPath("/ccache/a/b/c", new byte[] {3});
            Checks.equal("NODE_CREATED /ccache/a/b/c", events.poll(30, TimeUnit.SECONDS));
            other.setData().forPath("/ccache/a", new byte[] {4});
            Checks.equal("NODE_CHANGED /ccache/a", events.poll(30, TimeUnit.SECONDS));
            other.delete().forPath("/ccache/a/b/c");
            Checks.equal("NODE_DELETED /ccache/a/b/c", events.poll(30, TimeUnit.SECONDS));
            TreeSet<String> paths = new TreeSet<>();
            cache.stream().forEach(data -> paths.add(data.getPath()));
            Checks.equal("[/ccache, /ccache/a, /ccache/a/b]", paths.toString());
        }
    }
}
