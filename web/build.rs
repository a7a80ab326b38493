//! Tells the linker to keep relocations. They say which function refers to which, and the page's program is split by them
//! after it is linked (docs/decisions/0010-split-page.md).

fn main() {
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        println!("cargo::rustc-link-arg-bins=--emit-relocs");
    }
    println!("cargo::rerun-if-changed=build.rs");
}
