//! Sizes as people write them.

/// Reads a size such as `500MB`, `20GB` or `4GiB` and returns it in bytes.
///
/// # Errors
/// Returns what is wrong, in one sentence.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor = match unit.trim().to_lowercase().as_str() {
        "kb" | "k" => 1e3,
        "mb" | "m" => 1e6,
        "gb" | "g" => 1e9,
        "tb" | "t" => 1e12,
        "kib" => 1024.0,
        "mib" => 1_048_576.0,
        "gib" => 1_073_741_824.0,
        "" | "b" => 1.0,
        _ => return Err(format!("`{unit}` is not a unit; write 500MB or 20GB")),
    };
    let bytes = number.parse::<f64>().map_err(|_| "write it as 500MB or 20GB".to_owned())? * factor;
    if bytes < 1e6 { Err("less than 1MB is too small to keep anything".into()) } else { Ok(bytes as u64) }
}

/// Writes a size as people read it: `1.5 GB`.
#[must_use]
pub fn decimal_bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_bytes("500MB"), Ok(500_000_000));
        assert_eq!(parse_bytes("1.5 GiB"), Ok(1_610_612_736));
        assert!(parse_bytes("7 apples").is_err() && parse_bytes("12").is_err() && parse_bytes("GB").is_err());
    }
}
