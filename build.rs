//! Tells the crate two facts about the build:
//! - `selvedge_asan`: AddressSanitizer is on. Only nightly compilers let code ask.
//! - `selvedge_isolated`: goroutines can have thread-locals of their own. That needs code for the machine and its C
//!   library, and the switch in assembly.

fn main() {
    println!("cargo::rustc-check-cfg=cfg(selvedge_asan)");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_CFG_SANITIZE");
    let sanitizers = std::env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    if sanitizers.split(',').any(|one| one == "address") {
        println!("cargo::rustc-cfg=selvedge_asan");
    }

    println!("cargo::rustc-check-cfg=cfg(selvedge_isolated)");
    let is = |what: &str, value: &str| std::env::var(what).is_ok_and(|is| is == value);
    let by_jumps = std::env::var_os("CARGO_FEATURE_PORTABLE_SWITCH").is_none();
    if is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_ENV", "gnu") && by_jumps {
        println!("cargo::rustc-cfg=selvedge_isolated");
    }
}
