//! Makes the siblings of a kernel.

/// Declares a kernel over a [`super::vector::Vector`] `V`, and a module of its name with one function for each kind of
/// processor: `plain`, and `avx2` and `avx512`, or `neon`.
///
/// The body must not hold closures around vectors: they would not have the processor's features.
macro_rules! siblings {
    ($(#[$doc:meta])* fn $name:ident<V $(, const $c:ident: $ct:ty)*>($($a:ident: $t:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[inline(always)]
        #[allow(clippy::too_many_arguments)]
        unsafe fn $name<V: $crate::kernels::vector::Vector $(, const $c: $ct)*>($($a: $t),*) $body

        #[allow(clippy::too_many_arguments, clippy::missing_safety_doc)]
        pub(super) mod $name {
            #[allow(unused_imports)]
            use super::*;

            pub unsafe fn plain<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: plain vectors need no features; the rest is the caller's promise.
                unsafe { super::$name::<$crate::kernels::vector::Plain $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            pub unsafe fn avx2<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: this function has the features.
                unsafe { super::$name::<std::arch::x86_64::__m256 $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx2,fma")]
            pub unsafe fn avx512<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: this function has the features.
                unsafe { super::$name::<std::arch::x86_64::__m512 $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "aarch64")]
            pub unsafe fn neon<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: every 64-bit ARM has NEON.
                unsafe { super::$name::<std::arch::aarch64::float32x4_t $(, $c)*>($($a),*) }
            }
        }
    };
}

/// The sibling of a kernel for a processor: `sibling!(isa, tile::<6, 4>)`.
macro_rules! sibling {
    ($isa:expr, $name:ident $(::<$($c:tt),*>)?) => {
        match $isa {
            $crate::kernels::Isa::Plain => $name::plain $(::<$($c),*>)?,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx2 | $crate::kernels::Isa::AvxVnni => $name::avx2 $(::<$($c),*>)?,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx512 | $crate::kernels::Isa::Vnni => $name::avx512 $(::<$($c),*>)?,
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::Isa::Neon | $crate::kernels::Isa::NeonDot => $name::neon $(::<$($c),*>)?,
        }
    };
}

/// Repeats a block for each index below `$n`, with the index as a constant: loops over accumulators must be unrolled
/// whole, or they live on the stack.
macro_rules! unroll {
    ($i:ident, $n:expr, $b:block) => {
        unroll!(@ $i, $n, $b, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13)
    };
    (@ $i:ident, $n:expr, $b:block, $($k:literal),*) => {
        $({
            const $i: usize = $k;
            if $i < $n $b
        })*
    };
}

/// Like [`siblings!`], over a [`super::bytes::dot::Dot`] `D`: `plain`, `avx2`, `avxvnni` and `vnni`, `neon` and
/// `neondot`.
macro_rules! dot_siblings {
    ($(#[$doc:meta])* fn $name:ident<D $(, const $c:ident: $ct:ty)*>($($a:ident: $t:ty),* $(,)?) $body:block) => {
        $(#[$doc])*
        #[inline(always)]
        #[allow(clippy::too_many_arguments)]
        unsafe fn $name<D: $crate::kernels::bytes::dot::Dot $(, const $c: $ct)*>($($a: $t),*) $body

        #[allow(clippy::too_many_arguments, clippy::missing_safety_doc)]
        pub(super) mod $name {
            #[allow(unused_imports)]
            use super::*;

            pub unsafe fn plain<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: plain vectors need no features; the rest is the caller's promise.
                unsafe { super::$name::<$crate::kernels::bytes::dot::Plain $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            pub unsafe fn avx2<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: this function has the features.
                unsafe { super::$name::<$crate::kernels::bytes::dot::Avx2 $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avxvnni,avx2,fma")]
            pub unsafe fn avxvnni<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: this function has the features.
                unsafe { super::$name::<$crate::kernels::bytes::dot::AvxVnni $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512vl,avx512bw,avx512dq,avx512vnni,avx2,fma")]
            pub unsafe fn vnni<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: this function has the features.
                unsafe { super::$name::<$crate::kernels::bytes::dot::Vnni $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "aarch64")]
            pub unsafe fn neon<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: every 64-bit ARM has NEON.
                unsafe { super::$name::<$crate::kernels::bytes::dot::Neon $(, $c)*>($($a),*) }
            }

            #[cfg(target_arch = "aarch64")]
            #[target_feature(enable = "dotprod")]
            pub unsafe fn neondot<$(const $c: $ct),*>($($a: $t),*) {
                // SAFETY: this function has the features.
                unsafe { super::$name::<$crate::kernels::bytes::dot::NeonDot $(, $c)*>($($a),*) }
            }
        }
    };
}

/// The sibling of such a kernel for a processor; AVX-512 without VNNI has none of its own.
macro_rules! dot_sibling {
    ($isa:expr, $name:ident $(::<$($c:tt),*>)?) => {
        match $isa {
            $crate::kernels::Isa::Plain => $name::plain $(::<$($c),*>)?,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Avx2 | $crate::kernels::Isa::Avx512 => $name::avx2 $(::<$($c),*>)?,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::AvxVnni => $name::avxvnni $(::<$($c),*>)?,
            #[cfg(target_arch = "x86_64")]
            $crate::kernels::Isa::Vnni => $name::vnni $(::<$($c),*>)?,
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::Isa::Neon => $name::neon $(::<$($c),*>)?,
            #[cfg(target_arch = "aarch64")]
            $crate::kernels::Isa::NeonDot => $name::neondot $(::<$($c),*>)?,
        }
    };
}

/// Chooses among the tiles of all sizes by numbers that are known at run time: `tile_of!(sibling, isa, pixels, vectors)`. The
/// sizes are those that fit in 32 registers.
macro_rules! tile_of {
    (@ $choose:ident, $isa:expr, $pixels:expr, $vectors:expr, $($v:literal: $($p:literal)*;)*) => {
        match ($pixels, $vectors) {
            $($(($p, $v) => $choose!($isa, tile::<$p, $v>),)*)*
            _ => $choose!($isa, tile::<1, 1>),
        }
    };
    ($choose:ident, $isa:expr, $pixels:expr, $vectors:expr) => {
        tile_of!(@ $choose, $isa, $pixels, $vectors,
            1: 2 3 4 5 6 7 8 9 10 11 12 13 14;
            2: 1 2 3 4 5 6 7 8 9 10 11 12;
            3: 1 2 3 4 5 6 7 8;
            4: 1 2 3 4 5 6;
        )
    };
}

pub(super) use {dot_sibling, dot_siblings, sibling, siblings, tile_of, unroll};
