//! The program: everything it does is in the library, beginning with `midwatch::cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    midwatch::cli::main(std::env::args_os())
}
