import java.io.Serializable;

/** The session. Its version is declared, so that a release with another field reads it. */
public class Shop implements Serializable {
    private static final long serialVersionUID = 1;

    final String user;
    final String notes;
    int count;
    // A field of the next release.
    //2 String coupon;

    Shop(String user, String notes) {
        this.user = user;
        this.notes = notes;
    }
}
