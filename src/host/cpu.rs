//! The kind of processor, as far as it affects how floats are computed.

/// The architecture and the instruction sets by which tract and our image crates choose their kernels. Runs on
/// processors of one class produce the same bytes.
#[must_use]
pub fn cpu_class() -> String {
    #[cfg(target_arch = "x86_64")]
    {
        let sets = [
            ("fma", std::arch::is_x86_feature_detected!("fma")),
            ("avx2", std::arch::is_x86_feature_detected!("avx2")),
            ("avx512", std::arch::is_x86_feature_detected!("avx512f")),
        ];
        let found = sets.iter().filter(|(_, has)| *has).map(|(name, _)| format!(" {name}"));
        format!("x86_64{}", found.collect::<String>())
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        // tract chooses by the part number (Cortex-A53, A55, A72 …).
        let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let part = text
            .lines()
            .find_map(|line| line.strip_prefix("CPU part")?.split_once(':').map(|(_, part)| part.trim().to_owned()));
        format!("{} {}", std::env::consts::ARCH, part.unwrap_or_default()).trim_end().to_owned()
    }
}
