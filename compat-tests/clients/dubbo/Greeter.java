/** The service that is provided and called. */
public interface Greeter {

    /** Answers with the provider's name and the text. */
    String greet(String text);
}
