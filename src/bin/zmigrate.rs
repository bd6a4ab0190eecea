//! The command `zmigrate`.

fn main() -> std::process::ExitCode {
    zmigrate::cli::main()
}
