//! The `floodgate` binary. Its commands are in `supervisor::commands`.

fn main() -> std::process::ExitCode {
    supervisor::commands::enter()
}
