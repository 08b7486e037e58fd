import java.util.Set;
import java.util.stream.Collectors;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.x.discovery.ServiceCache;
import org.apache.curator.x.discovery.ServiceDiscovery;
import org.apache.curator.x.discovery.ServiceDiscoveryBuilder;
import org.apache.curator.x.discovery.ServiceInstance;
import org.apache.curator.x.discovery.ServiceProvider;

/** Service discovery. */
final class Discovery {

    private final CuratorFramework client;
    private final CuratorFramework other;

    Discovery(CuratorFramework client, CuratorFramework other) {
        this.client = client;
        this.other = other;
    }

    void run() {
        Checks.check("service discovery: register, find, cache, unregister", this::discovery);
    }

    private static ServiceInstance<Void> instance(int port) throws Exception {
        return ServiceInstance.<Void>builder().name("greeter").address("127.0.0.1").port(port).build();
    }

    private static ServiceDiscovery<Void> open(CuratorFramework from) throws Exception {
        ServiceDiscovery<Void> discovery =
            ServiceDiscoveryBuilder.builder(Void.class).client(from).basePath("/services").build();
        discovery.start();
        return discovery;
    }

    private static Set<Integer> ports(java.util.Collection<ServiceInstance<Void>> instances) {
        return instances.stream().map(ServiceInstance::getPort).collect(Collectors.toSet());
    }

    private void discovery() throws Exception {
        try (ServiceDiscovery<Void> mine = open(client); ServiceDiscovery<Void> theirs = open(other)) {
            ServiceInstance<Void> first = instance(1);
            mine.registerService(first);
            mine.registerService(instance(2));
            Main.catchUp(other);
            Checks.equal(Set.of(1, 2), ports(theirs.queryForInstances("greeter")));
            Checks.equal(Set.of("greeter"), Set.copyOf(theirs.queryForNames()));
            try (ServiceCache<Void> cache = theirs.serviceCacheBuilder().name("greeter").build();
                 ServiceProvider<Void> provider = theirs.serviceProviderBuilder().serviceName("greeter").build()) {
                cache.start();
                provider.start();
                Checks.equal(Set.of(1, 2), ports(cache.getInstances()));
                Checks.isTrue("provided", provider.getInstance() != null);
                mine.unregisterService(first);
                Checks.eventually("after one has left", Set.of(2), () -> ports(cache.getInstances()));
            }
        }
    }
}
