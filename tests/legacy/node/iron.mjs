// Seals a session with iron-session, and prints the cookie: node iron.mjs PASSWORD TTL NAME SESSION
import { getIronSession } from "iron-session";

const [password, ttl, cookieName, session] = process.argv.slice(2);
const response = new Response();
const sealed = await getIronSession(new Request("http://localhost/"), response, {
  password,
  ttl: Number(ttl),
  cookieName,
});
Object.assign(sealed, JSON.parse(session));
await sealed.save();
console.log(response.headers.get("set-cookie"));
