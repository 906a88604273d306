//! The programs that the lab runs: whether they are there, and which versions they have.

use std::path::Path;

use crate::Result;
use crate::process::output;

pub(crate) const TOMCAT: &str = "/usr/share/tomcat10";

/// What must be there, and the Debian package that has it.
const NEEDED: [(&str, &str); 9] = [
    ("nginx", "nginx-light"),
    ("haproxy", "haproxy"),
    ("redis-server", "redis-server"),
    ("redis-cli", "redis-tools"),
    ("javac", "default-jdk-headless"),
    ("jcmd", "default-jdk-headless"),
    ("/usr/share/tomcat10/lib/catalina-ha.jar", "libtomcat10-java"),
    ("/usr/share/tomcat10/bin/bootstrap.jar", "tomcat10-common"),
    ("ss", "iproute2"),
];

/// Fails if a program is missing, and says which line installs it.
pub(crate) fn check() -> Result<()> {
    let missing: Vec<_> = NEEDED.iter().filter(|(program, _)| !present(program)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names: Vec<&str> = missing.iter().map(|(program, _)| *program).collect();
    let mut packages: Vec<&str> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    Err(format!(
        "missing: {}. On Debian this installs it:\napt-get install --yes --no-install-recommends {}",
        names.join(", "),
        packages.join(" ")
    )
    .into())
}

fn present(program: &str) -> bool {
    let paths = std::env::var_os("PATH").unwrap_or_default();
    // An absolute path stays as it is when it is joined.
    let mut folders = std::env::split_paths(&paths).chain([Path::new("/usr/sbin").into()]);
    folders.any(|folder| folder.join(program).is_file())
}

/// Returns the names and versions of all programs and crates of the lab.
pub(crate) async fn versions() -> Result<Vec<(String, String)>> {
    let catalina = format!("{TOMCAT}/lib/catalina.jar:{TOMCAT}/bin/tomcat-juli.jar");
    let server_info = ["java", "-cp", &catalina, "org.apache.catalina.util.ServerInfo"];
    let mut versions = Vec::new();
    for (name, command, after) in [
        ("Linux", &["uname", "-r"][..], ""),
        ("nginx", &["/usr/sbin/nginx", "-v"], "nginx/"),
        ("HAProxy", &["/usr/sbin/haproxy", "-v"], "HAProxy version "),
        ("Redis", &["redis-server", "--version"], "v="),
        ("Java", &["java", "-version"], "version \""),
        ("Tomcat", &server_info, "Apache Tomcat/"),
        ("rustc", &["rustc", "--version"], "rustc "),
    ] {
        let text = output(command).await.unwrap_or_default();
        let from = text.find(after).map_or("", |at| text.get(at + after.len()..).unwrap_or(""));
        let end = |c: char| c.is_whitespace() || c == '"';
        versions.push((name.to_owned(), from.split(end).next().unwrap_or("?").to_owned()));
    }
    for name in ["sealed-session", "axum", "tower-sessions", "tower-sessions-redis-store", "fred"] {
        versions.push((name.to_owned(), of_crate(name).unwrap_or("?").to_owned()));
    }
    Ok(versions)
}

fn of_crate(name: &str) -> Option<&'static str> {
    let lock = include_str!("../Cargo.lock");
    let (_, from) = lock.split_once(&format!("name = \"{name}\"\nversion = \""))?;
    from.split('"').next()
}
