import java.io.Serializable;

/** The session. No serialVersionUID is given, as in most applications; so it changes with the fields. */
public class Shop implements Serializable {
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
