//! The kind of processor, and which kernels run on it.

use crate::error::{Error, Result};
use std::sync::OnceLock;

/// A set of processor features that has its own siblings of the kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// Plain Rust, on any processor.
    Plain,
    /// AVX2 and FMA.
    #[cfg(target_arch = "x86_64")]
    Avx2,
    /// The same with AVX-VNNI, which multiplies bytes.
    #[cfg(target_arch = "x86_64")]
    AvxVnni,
    /// AVX-512 F, VL, BW and DQ.
    #[cfg(target_arch = "x86_64")]
    Avx512,
    /// The same with AVX-512 VNNI, which multiplies bytes.
    #[cfg(target_arch = "x86_64")]
    Vnni,
    /// NEON of 64-bit ARM.
    #[cfg(target_arch = "aarch64")]
    Neon,
    /// The same with SDOT, which multiplies bytes.
    #[cfg(target_arch = "aarch64")]
    NeonDot,
}

impl Isa {
    /// All that this processor can run, the fastest last.
    #[must_use]
    pub fn here() -> Vec<Self> {
        let mut all = vec![Self::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                all.push(Self::Avx2);
                if is_x86_feature_detected!("avxvnni") {
                    all.push(Self::AvxVnni);
                }
                if ["avx512f", "avx512vl", "avx512bw", "avx512dq"].iter().all(|name| has(name)) {
                    all.push(Self::Avx512);
                    if is_x86_feature_detected!("avx512vnni") {
                        all.push(Self::Vnni);
                    }
                }
            }
        }
        #[cfg(target_arch = "aarch64")]
        {
            all.push(Self::Neon);
            if std::arch::is_aarch64_feature_detected!("dotprod") {
                all.push(Self::NeonDot);
            }
        }
        all
    }

    /// The name that `OCELLI_KERNELS` takes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni => "avxvnni",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Vnni => "vnni",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => "neondot",
        }
    }

    /// Whether bytes are multiplied faster than floats.
    #[must_use]
    pub const fn prefers_levels(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::AvxVnni | Self::Vnni => true,
            #[cfg(target_arch = "aarch64")]
            Self::NeonDot => true,
            _ => false,
        }
    }

    /// Floats in a vector.
    #[must_use]
    pub const fn lanes(self) -> usize {
        match self {
            Self::Plain => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::AvxVnni => 8,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Vnni => 16,
            #[cfg(target_arch = "aarch64")]
            Self::Neon | Self::NeonDot => 4,
        }
    }

    /// Vector registers.
    #[must_use]
    pub const fn registers(self) -> usize {
        match self {
            Self::Plain => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 | Self::AvxVnni => 16,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 | Self::Vnni => 32,
            #[cfg(target_arch = "aarch64")]
            Self::Neon | Self::NeonDot => 32,
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn has(name: &str) -> bool {
    match name {
        "avx512f" => is_x86_feature_detected!("avx512f"),
        "avx512vl" => is_x86_feature_detected!("avx512vl"),
        "avx512bw" => is_x86_feature_detected!("avx512bw"),
        _ => is_x86_feature_detected!("avx512dq"),
    }
}

/// Which kernels a plan uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kernels {
    /// None of ours: tract runs the whole graph.
    Off,
    /// Those of this processor.
    On(Isa),
}

impl Kernels {
    /// The fastest that this processor can run, or what the variable `OCELLI_KERNELS` names: `auto`, `off`, `plain`,
    /// `avx2`, `avxvnni`, `avx512`, `vnni`, `neon`, `neondot`.
    ///
    /// # Errors
    /// [`Error::Config`] if the variable names none, or kernels that this processor cannot run.
    pub fn chosen() -> Result<Self> {
        static CHOSEN: OnceLock<std::result::Result<Kernels, String>> = OnceLock::new();
        let chosen = CHOSEN.get_or_init(|| Self::named(&std::env::var("OCELLI_KERNELS").unwrap_or_default()));
        chosen.clone().map_err(Error::Config)
    }

    /// The kernels of a name, as [`Kernels::chosen`] takes them; an empty name is `auto`.
    ///
    /// # Errors
    /// A message that says what would do.
    pub fn named(name: &str) -> std::result::Result<Self, String> {
        let here = Isa::here();
        let best = here.last().copied().unwrap_or(Isa::Plain);
        match name {
            "" | "auto" => Ok(Self::On(best)),
            "off" => Ok(Self::Off),
            _ => here.iter().find(|isa| isa.name() == name).map(|isa| Self::On(*isa)).ok_or_else(|| {
                let names: Vec<&str> = here.iter().map(|isa| isa.name()).collect();
                format!("OCELLI_KERNELS is `{name}`; on this processor it can be auto, off, {}", names.join(", "))
            }),
        }
    }
}
