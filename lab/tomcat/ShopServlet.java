import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;

/** The shop of the lab as a servlet: the same paths and answers as those of the nodes in axum. */
public class ShopServlet extends HttpServlet {
    private static final String NODE = System.getProperty("lab.node");

    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
        switch (request.getPathInfo()) {
            case "/ready" -> answer(response, "ready");
            case "/cart" -> show(request.getSession(false), response);
            default -> response.setStatus(404);
        }
    }

    @Override
    protected void doPost(HttpServletRequest request, HttpServletResponse response) throws IOException {
        HttpSession session = request.getSession(false);
        switch (request.getPathInfo()) {
            case "/login" -> {
                if (session != null) {
                    session.invalidate();
                }
                session = request.getSession(true);
                session.setAttribute("shop", new Shop(request.getParameter("user"), request.getParameter("notes")));
                show(session, response);
            }
            case "/cart" -> {
                Shop shop = shop(session);
                if (shop != null) {
                    // One at a time, as far as one node can see to it.
                    synchronized (shop) {
                        int count = shop.count;
                        work(request.getParameter("work"));
                        shop.count = count + 1;
                        session.setAttribute("shop", shop);
                    }
                }
                show(session, response);
            }
            case "/logout" -> {
                if (session != null) {
                    session.invalidate();
                }
                answer(response, "bye " + NODE);
            }
            default -> response.setStatus(404);
        }
    }

    private static Shop shop(HttpSession session) {
        return session == null ? null : (Shop) session.getAttribute("shop");
    }

    /** Stands for what a handler waits for between reading the session and changing it. */
    private static void work(String milliseconds) {
        if (milliseconds != null) {
            try {
                Thread.sleep(Long.parseLong(milliseconds));
            } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private static void show(HttpSession session, HttpServletResponse response) throws IOException {
        Shop shop = shop(session);
        if (shop == null) {
            response.setStatus(401);
            answer(response, NODE);
        } else {
            answer(response, NODE + " " + shop.user + " " + shop.count);
        }
    }

    private static void answer(HttpServletResponse response, String text) throws IOException {
        response.setContentType("text/plain");
        response.getOutputStream().print(text);
    }
}
