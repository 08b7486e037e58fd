import org.apache.dubbo.config.ApplicationConfig;
import org.apache.dubbo.config.ConfigCenterConfig;
import org.apache.dubbo.config.MetadataReportConfig;
import org.apache.dubbo.config.RegistryConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/** What provider and consumer have in common: ZooKeeper as registry, config center and metadata report. */
final class Registry {

    /** In ms; short, so that a killed provider is gone soon. */
    private static final int SESSION_MS = 4_000;

    private Registry() {
    }

    static DubboBootstrap bootstrap(String application) {
        String[] servers = System.getenv("ZK_CONNECT").split(",", 2);
        String others = servers.length > 1 ? "&backup=" + servers[1] : "";
        String address = "zookeeper://" + servers[0] + "?session=" + SESSION_MS + others;
        ApplicationConfig config = new ApplicationConfig(application);
        config.setQosEnable(false);
        config.setRegisterMode("all");
        RegistryConfig registry = new RegistryConfig(address);
        registry.setUseAsConfigCenter(false);
        registry.setUseAsMetadataCenter(false);
        ConfigCenterConfig center = new ConfigCenterConfig();
        center.setAddress(address);
        MetadataReportConfig report = new MetadataReportConfig(address);
        return DubboBootstrap.newInstance().application(config).registry(registry).configCenter(center)
            .metadataReport(report);
    }
}
