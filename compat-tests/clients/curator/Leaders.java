import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.leader.LeaderLatch;
import org.apache.curator.framework.recipes.leader.LeaderSelector;
import org.apache.curator.framework.recipes.leader.LeaderSelectorListenerAdapter;

/** Leader election, by latch and by selector. */
final class Leaders {

    private final CuratorFramework client;
    private final CuratorFramework other;

    Leaders(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("LeaderLatch: one leader, the next on its close", this::latch);
        Checks.check("LeaderLatch: the next when the leader's session closes", this::latchSession);
        Checks.check("LeaderSelector: each has its turn, one at a time", this::selector);
    }

    private void latch() throws Exception {
        LeaderLatch first = new LeaderLatch(client, "/latch", "first");
        LeaderLatch second = new LeaderLatch(other, "/latch", "second");
        first.start();
        Checks.isTrue("first leads", first.await(30, TimeUnit.SECONDS));
        second.start();
        Checks.eventually("participants", 2, () -> first.getParticipants().size());
        Main.catchUp(other);
        Checks.equal("leader as the second sees it", "first", second.getLeader().getId());
        first.close();
        Checks.isTrue("second leads", second.await(30, TimeUnit.SECONDS));
        second.close();
    }

    private void latchSession() throws Exception {
        CuratorFramework dying = Main.open();
        LeaderLatch first = new LeaderLatch(dying, "/latch-session", "first");
        first.start();
        Checks.isTrue("first leads", first.await(30, TimeUnit.SECONDS));
        try (LeaderLatch second = new LeaderLatch(client, "/latch-session", "second")) {
            second.start();
            dying.close();
            Checks.isTrue("second leads", second.await(30, TimeUnit.SECONDS));
        }
    }

    private void selector() throws Exception {
        AtomicInteger leaders = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        CountDownLatch turns = new CountDownLatch(6);
        LeaderSelectorListenerAdapter listener = new LeaderSelectorListenerAdapter() {
            @Override
            public void takeLeadership(CuratorFramework leader) {
                most.accumulateAndGet(leaders.incrementAndGet(), Math::max);
                turns.countDown();
                leaders.decrementAndGet();
            }
        };
        try (LeaderSelector first = new LeaderSelector(client, "/selector", listener);
             LeaderSelector second = new LeaderSelector(other, "/selector", listener)) {
            first.autoRequeue();
            second.autoRequeue();
            first.start();
            second.start();
            Checks.isTrue("six turns", turns.await(60, TimeUnit.SECONDS));
        }
        Checks.equal("leaders at once", 1, most.get());
    }
}
