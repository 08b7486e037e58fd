import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.recipes.barriers.DistributedBarrier;
import org.apache.curator.framework.recipes.barriers.DistributedDoubleBarrier;
import org.apache.curator.framework.recipes.locks.InterProcessLock;
import org.apache.curator.framework.recipes.locks.InterProcessMultiLock;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreMutex;
import org.apache.curator.framework.recipes.locks.InterProcessSemaphoreV2;
import org.apache.curator.framework.recipes.locks.Lease;

/** Locks, semaphores and barriers, contended from two sessions. */
final class Locks {

    private static final long SECONDS = 30;

    private final CuratorFramework client;
    private final CuratorFramework other;
    private final ExecutorService pool = Executors.newCachedThreadPool();

    Locks(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("InterProcessMutex: one holder, re-entrant", () -> {
            exclusive(List.of(new InterProcessMutex(client, "/mutex"), new InterProcessMutex(other, "/mutex")));
            InterProcessMutex mutex = new InterProcessMutex(client, "/mutex");
            mutex.acquire();
            mutex.acquire();
            mutex.release();
            Checks.equal("held", true, mutex.isAcquiredInThisProcess());
            mutex.release();
        });
        Checks.check("InterProcessSemaphoreMutex", () -> exclusive(List.of(
            new InterProcessSemaphoreMutex(client, "/smutex"), new InterProcessSemaphoreMutex(other, "/smutex"))));
        Checks.check("InterProcessMultiLock", () -> exclusive(List.of(
            new InterProcessMultiLock(client, List.of("/multi-a", "/multi-b")),
            new InterProcessMultiLock(other, List.of("/multi-a", "/multi-b")))));
        Checks.check("InterProcessReadWriteLock", this::readWrite);
        Checks.check("InterProcessSemaphoreV2", this::semaphore);
        Checks.check("a lock goes to the next when its holder's session closes", this::holderDies);
        Checks.check("DistributedBarrier", this::barrier);
        Checks.check("DistributedDoubleBarrier", this::doubleBarrier);
        pool.shutdownNow();
    }

    private void exclusive(List<InterProcessLock> locks) throws Exception {
        AtomicInteger holders = new AtomicInteger();
        AtomicInteger most = new AtomicInteger();
        List<Callable<Void>> turns = new ArrayList<>();
        for (InterProcessLock lock : locks) {
            turns.add(() -> {
                for (int i = 0; i < 15; i++) {
                    Checks.isTrue("acquired", lock.acquire(SECONDS, TimeUnit.SECONDS));
                    most.accumulateAndGet(holders.incrementAndGet(), Math::max);
                    holders.decrementAndGet();
                    lock.release();
                }
                return null;
            });
        }
        for (Future<Void> turn : pool.invokeAll(turns)) {
            turn.get();
        }
        Checks.equal("holders at once", 1, most.get());
    }

    private void readWrite() throws Exception {
        InterProcessReadWriteLock mine = new InterProcessReadWriteLock(client, "/rw");
        InterProcessReadWriteLock theirs = new InterProcessReadWriteLock(other, "/rw");
        mine.readLock().acquire();
        Checks.isTrue("two readers", theirs.readLock().acquire(SECONDS, TimeUnit.SECONDS));
        Checks.equal("writer beside readers", false, pool.submit(
            () -> new InterProcessReadWriteLock(other, "/rw").writeLock().acquire(300, TimeUnit.MILLISECONDS)).get());
        mine.readLock().release();
        theirs.readLock().release();
        Checks.isTrue("writer alone", mine.writeLock().acquire(SECONDS, TimeUnit.SECONDS));
        Checks.equal("reader beside a writer", false, theirs.readLock().acquire(300, TimeUnit.MILLISECONDS));
        mine.writeLock().release();
    }

    private void semaphore() throws Exception {
        InterProcessSemaphoreV2 mine = new InterProcessSemaphoreV2(client, "/semaphore", 2);
        InterProcessSemaphoreV2 theirs = new InterProcessSemaphoreV2(other, "/semaphore", 2);
        Lease first = mine.acquire(SECONDS, TimeUnit.SECONDS);
        Lease second = theirs.acquire(SECONDS, TimeUnit.SECONDS);
        Checks.isTrue("two leases", first != null && second != null);
        Checks.equal("a third", null, mine.acquire(300, TimeUnit.MILLISECONDS));
        theirs.returnLease(second);
        Lease third = mine.acquire(SECONDS, TimeUnit.SECONDS);
        Checks.isTrue("after a return", third != null);
        mine.returnAll(List.of(first, third));
    }

    private void holderDies() throws Exception {
        CuratorFramework dying = Main.open();
        new InterProcessMutex(dying, "/inherited").acquire();
        Future<Boolean> next = pool.submit(() -> new InterProcessMutex(client, "/inherited").acquire(SECONDS, TimeUnit.SECONDS));
        Checks.eventually("waiters", 2, () -> other.getChildren().forPath("/inherited").size());
        dying.close();
        Checks.equal("acquired", true, next.get());
    }

    private void barrier() throws Exception {
        DistributedBarrier barrier = new DistributedBarrier(client, "/barrier");
        barrier.setBarrier();
        Main.catchUp(other);
        Future<Boolean> waiting = pool.submit(() -> new DistributedBarrier(other, "/barrier").waitOnBarrier(SECONDS, TimeUnit.SECONDS));
        Checks.equal("is open", false, waiting.isDone());
        barrier.removeBarrier();
        Checks.equal("opened", true, waiting.get());
    }

    private void doubleBarrier() throws Exception {
        List<Callable<String>> members = new ArrayList<>();
        for (CuratorFramework from : List.of(client, other, client)) {
            members.add(() -> {
                DistributedDoubleBarrier barrier = new DistributedDoubleBarrier(from, "/double", 3);
                return barrier.enter(SECONDS, TimeUnit.SECONDS) + " " + barrier.leave(SECONDS, TimeUnit.SECONDS);
            });
        }
        for (Future<String> member : pool.invokeAll(members)) {
            Checks.equal("true true", member.get());
        }
    }
}
