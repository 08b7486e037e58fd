/** The official Java client against the server that ZK_CONNECT names; SERVER_CTL restarts it. */
public final class Main {

    private Main() {
    }

    public static void main(String[] args) throws Exception {
        Basics.run();
        Errors.run();
        Transactions.run();
        Watches.run();
        Security.run();
        Sessions.run();
        Flow.run();
        Checks.finish();
    }
}
