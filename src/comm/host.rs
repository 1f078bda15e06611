//! Which machine this is.

/// Name of this machine, as it may stand in messages and names of files.
pub fn host_name() -> String {
    let mut name = gethostname::gethostname().to_string_lossy().into_owned();
    name.retain(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.');
    if name.is_empty() { "localhost".to_owned() } else { name }
}
