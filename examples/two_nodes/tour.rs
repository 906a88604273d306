//! The tour: each step sends real requests, shows what came back, and checks it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use sealed_session::{Key, RingKey};

use crate::Result;
use crate::browser::Browser;
use crate::node::Node;

pub(crate) async fn run() -> Result<()> {
    // Nodes get keys as text, as from a secret store; nothing else goes from one to the other.
    let old = Key::generate()?.expose_text();
    let new = Key::generate()?.expose_text();
    let (old_id, new_id) = (id(&old)?, id(&new)?);

    println!("Two servers share nothing but a key. One user goes back and forth between them.\n");
    let a = Node::start("A", vec![seals(&old)?]).await?;
    let mut b = Node::start("B", vec![seals(&old)?]).await?;
    println!("   node A on {}, node B on {}, key {old_id}\n", a.address, b.address);
    let mut tour = Tour::default();
    let mut user = Browser::default();

    user.post(a.address, "/login", "user=jane").await?;
    tour.step("log in on A", &user, user.weight().0 == 1)?;

    let page = user.load(b.address).await?;
    tour.seen("read the page on B", &user, &page, |page| page["user"] == "jane")?;
    tour.note("unchanged and fresh, so no Set-Cookie", user.set.is_empty())?;

    let mut fills = 0;
    while user.weight().0 < 2 {
        let node = if fills % 2 == 0 { &b } else { &a };
        user.post(node.address, "/cart", "article=tea&count=20").await?;
        fills += 1;
        tour.step(
            &format!("put 20 boxes of tea into the cart on {}", node.name),
            &user,
            fills < 9,
        )?;
    }
    println!(
        "     The size does not follow the cart exactly. It is padded to steps, which tell less of what is in it. And
     where LZ4 would no longer fit one cookie, the session is compressed by DEFLATE, which takes less room:
     so boxes may come without a byte more, until that is full too.\n"
    );
    let page = user.load(a.address).await?;
    let lines = (fills * 20).to_string();
    tour.seen("the session needs two cookies now; read it on A", &user, &page, |p| {
        p["cart"] == lines
    })?;

    user.post(b.address, "/cart/empty", "").await?;
    tour.step("empty the cart on B", &user, user.removed == ["__Host-session.1"])?;
    tour.note("the second cookie was removed by the same response", user.weight().0 == 1)?;

    println!("\n   Rotate the key while jane is logged in: announce, change over, retire.\n");
    let hour = Duration::from_secs(3600);
    let (past, to_come) = (SystemTime::now() - hour, SystemTime::now() + hour);
    for node in [&a, &b] {
        node.replace_keys(vec![seals(&old)?, seals(&new)?.activates(to_come)])?;
    }
    let page = user.load(a.address).await?;
    tour.seen("key announced: both nodes open it, none seals with it", &user, &page, |p| {
        p["key"] == old_id
    })?;
    a.replace_keys(vec![seals(&old)?, seals(&new)?.activates(past)])?;
    let page = user.load(a.address).await?;
    tour.seen("its time has come on A alone", &user, &page, |p| {
        p.get("resealed").is_some_and(|why| why == "a newer key is primary")
    })?;
    let page = user.load(b.address).await?;
    tour.seen("B, which still seals with the old key, opens it", &user, &page, |p| {
        p["key"] == new_id
    })?;
    tour.note("and does not turn it back", user.set.is_empty())?;
    b.replace_keys(vec![seals(&old)?, seals(&new)?.activates(past)])?;
    user.load(b.address).await?;
    for node in [&a, &b] {
        node.replace_keys(vec![seals(&new)?])?;
    }
    let page = user.load(a.address).await?;
    tour.seen("come on B too; old key taken out on both", &user, &page, |p| p["user"] == "jane")?;

    println!(
        "\n   Deploy: B restarts, first with an old set of keys by mistake, then with the right one.\n"
    );
    b.stop().await?;
    b = Node::start("B", vec![seals(&old)?]).await?;
    let page = user.load(b.address).await?;
    tour.seen("B does not know the key", &user, &page, |p| p["user"] == "nobody")?;
    tour.note("it keeps the cookie all the same", user.removed.is_empty() && user.weight().0 == 1)?;
    b.stop().await?;
    b = Node::start("B", vec![seals(&new)?]).await?;
    let page = user.load(b.address).await?;
    tour.seen("B restarted with the right keys: still logged in", &user, &page, |p| {
        p["user"] == "jane"
    })?;

    let copy = user.copy();
    user.post(a.address, "/logout", "").await?;
    tour.step("log out on A", &user, user.weight().0 == 0)?;
    let page = user.load(b.address).await?;
    tour.seen("nobody is logged in on B", &user, &page, |p| p["user"] == "nobody")?;

    println!(
        "\n   What a cookie cannot do: a copy made before the logout works until it expires.\n"
    );
    let mut thief = copy;
    let page = thief.load(b.address).await?;
    tour.seen("read with the copy", &thief, &page, |p| p["user"] == "jane")?;
    for node in [&a, &b] {
        node.replace_keys(vec![RingKey::revoked(new.parse::<Key>()?.id()), seals(&old)?])?;
    }
    let page = thief.load(b.address).await?;
    tour.seen("the key is revoked: the copy is refused", &thief, &page, |p| p["user"] == "nobody")?;
    tour.note("it gives nobody anything, so no read removes it", thief.weight().0 == 1)?;

    a.stop().await?;
    b.stop().await?;
    println!("\n{} checks passed, 0 failed", tour.checks);
    Ok(())
}

fn seals(key: &str) -> Result<RingKey> {
    Ok(RingKey::new(key.parse()?).activates(SystemTime::UNIX_EPOCH))
}

fn id(key: &str) -> Result<String> {
    Ok(key.parse::<Key>()?.id().to_string())
}

#[derive(Default)]
struct Tour {
    checks: usize,
}

type Page = BTreeMap<String, String>;

impl Tour {
    /// Shows a step and the cookies after it.
    fn step(&mut self, what: &str, user: &Browser, holds: bool) -> Result<()> {
        let (cookies, bytes) = user.weight();
        let kept = match (cookies, bytes) {
            (0, _) => "no cookie".to_owned(),
            (1, bytes) => format!("1 cookie, {bytes} bytes"),
            (n, bytes) => format!("{n} cookies, {bytes} bytes"),
        };
        self.check(&format!("{what:<58} {kept}"), holds)
    }

    /// Shows a step and what the page said.
    fn seen(
        &mut self,
        what: &str,
        user: &Browser,
        page: &Page,
        holds: impl Fn(&Page) -> bool,
    ) -> Result<()> {
        self.step(what, user, holds(page))?;
        let said: Vec<_> = [
            ("node", "node"),
            ("user", "user"),
            ("cart", "cart"),
            ("key", "sealed by"),
            ("resealed", "sealed again now:"),
            ("refused", "refused:"),
        ]
        .into_iter()
        .filter_map(|(name, words)| Some(format!("{words} {}", page.get(name)?)))
        .collect();
        println!("     {}", said.join(", "));
        Ok(())
    }

    fn note(&mut self, what: &str, holds: bool) -> Result<()> {
        self.check(&format!("  {what}"), holds)
    }

    fn check(&mut self, line: &str, holds: bool) -> Result<()> {
        println!(" {} {line}", if holds { "✓" } else { "✗" });
        self.checks += 1;
        if holds { Ok(()) } else { Err("this is not as it should be".into()) }
    }
}
