//! Tells the crate whether AddressSanitizer is on, since only nightly compilers let code ask. Without it nothing
//! is told, and the crate has no trace of it.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(selvedge_asan)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_CFG_SANITIZE");
    let sanitizers = std::env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    if sanitizers.split(',').any(|one| one == "address") {
        println!("cargo::rustc-cfg=selvedge_asan");
    }
}
