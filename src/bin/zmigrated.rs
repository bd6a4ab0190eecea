//! The zone migration daemon: see [`zmigrate::daemon`].

fn main() -> std::process::ExitCode {
    zmigrate::daemon::main()
}
