import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** A local port in front of the server, whose connections can be cut while the server and its sessions stay. */
final class Proxy implements Closeable {

    /** Where all its connections go: of an ensemble, to one member. */
    static final String MEMBER = Clients.CONNECT.split(",")[0];

    private final ServerSocket listener = new ServerSocket(0, 64, InetAddress.getLoopbackAddress());
    private final Set<Socket> sockets = ConcurrentHashMap.newKeySet();
    private volatile boolean open = true;

    Proxy() throws IOException {
        start(this::accept);
    }

    String connect() {
        return "127.0.0.1:" + listener.getLocalPort();
    }

    /** Ends all connections and refuses new ones until {@link #mend()}. */
    void cut() {
        open = false;
        sockets.forEach(Proxy::closeQuietly);
        sockets.clear();
    }

    void mend() {
        open = true;
    }

    @Override
    public void close() throws IOException {
        cut();
        listener.close();
    }

    private void accept() throws IOException {
        String[] server = MEMBER.split(":");
        while (true) {
            Socket client = listener.accept();
            if (!open) {
                client.close();
                continue;
            }
            Socket upstream = new Socket();
            upstream.connect(new InetSocketAddress(server[0], Integer.parseInt(server[1])));
            sockets.add(client);
            sockets.add(upstream);
            start(() -> copy(client, upstream));
            start(() -> copy(upstream, client));
        }
    }

    private static void copy(Socket from, Socket to) throws IOException {
        byte[] buffer = new byte[65_536];
        try (InputStream in = from.getInputStream()) {
            for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
                to.getOutputStream().write(buffer, 0, n);
            }
        } finally {
            closeQuietly(from);
            closeQuietly(to);
        }
    }

    private static void closeQuietly(Socket socket) {
        try {
            socket.close();
        } catch (IOException e) {
            // It is gone either way.
        }
    }

    private static void start(Checks.Body body) {
        Thread thread = new Thread(() -> {
            try {
                body.run();
            } catch (Exception e) {
                // A cut connection or the closed listener: the end of this thread is the answer.
            }
        }, "proxy");
        thread.setDaemon(true);
        thread.start();
    }
}
