fn main() {
    cc::Build::new().file("src/secret.c").compile("secret");
    println!("cargo:rerun-if-changed=src/secret.c");
}
