//! Asks the processor to bring memory near before it is needed.
//!
//! A hint: it changes no value, and where a processor has no such instruction that stable Rust offers it
//! does nothing. The crate exists to fence the one unsafe call, for which the standard library has no
//! safe form yet (`core::hint::prefetch_read` is unstable).

#![no_std]

/// Asks for the lines of memory in which a value begins and ends. It does not wait for them.
#[inline(always)]
pub fn prefetch<T>(value: &T) {
    let start = core::ptr::from_ref(value).cast::<i8>();
    ask(start);
    // A value of at most its alignment lies in one line.
    if size_of::<T>() > align_of::<T>() {
        ask(start.wrapping_add(size_of::<T>() - 1));
    }
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn ask(address: *const i8) {
    use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: the instruction reads nothing that a program can see and does not fault, whatever the
    // address; SSE, which it needs, is part of every x86-64.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address) }
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
const fn ask(_address: *const i8) {}

#[cfg(test)]
mod tests {
    use super::prefetch;

    #[test]
    fn values_of_every_size_can_be_asked_for_and_are_what_they_were() {
        let (byte, large, none) = (7_u8, [3_u64; 100], [0_u8; 0]);
        prefetch(&byte);
        prefetch(&large);
        prefetch(&none);
        assert_eq!((byte, large[99], none), (7, 3, []));
    }
}
