//! Runs the battery. Ends with code 3 and the reason where there can be no isolated runtime.

fn main() {
    if let Err(error) = selvedge::Builder::new().processors(1).max_goroutines(64).build() {
        println!("refused: {error}");
        std::process::exit(3);
    }
    let quiet = std::env::args().any(|argument| argument == "--quiet");
    selvedge_kernel::battery::run(|name| {
        if !quiet {
            println!("  {name}");
        }
    });
    println!("all hold");
}
