import org.apache.dubbo.config.ProtocolConfig;
import org.apache.dubbo.config.ServiceConfig;
import org.apache.dubbo.config.bootstrap.DubboBootstrap;

/** A provider in a process of its own: Provider NAME PORT. It ends, unregistering itself, when its input ends. */
public final class Provider {

    private Provider() {
    }

    public static void main(String[] args) throws Exception {
        String name = args[0];
        ServiceConfig<Greeter> service = new ServiceConfig<>();
        service.setInterface(Greeter.class);
        service.setRef(text -> name + ": " + text);
        ProtocolConfig protocol = new ProtocolConfig("dubbo", Integer.parseInt(args[1]));
        protocol.setHost("127.0.0.1");
        DubboBootstrap bootstrap = Registry.bootstrap("provider").protocol(protocol).service(service);
        bootstrap.start();
        System.out.println("provider " + name + " is up");
        while (System.in.read() >= 0) {
            // Only the end of the input matters.
        }
        bootstrap.destroy();
        System.exit(0);
    }
}
