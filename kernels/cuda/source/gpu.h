// What kernels are written in: the few things that are spelled differently by
// clang, which makes PTX of a kernel, and by g++, which makes the emulator of
// it. There is no header of NVIDIA's: nothing is needed that is not here.
//
// A kernel is KERNEL(name, Params): its one parameter is a struct p, as the Go
// struct of the same fields has it. Nothing may depend on the order in which
// blocks run, and every sum has one order, so that the same bits come out.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

#ifdef PIPE_EMULATOR
#include "../emulator/library/thread.h"
#else
#define DEV __attribute__((device)) static inline
#define SHARED __attribute__((shared)) static
#define DEV_METHOD __attribute__((device))
#define CONSTANT __attribute__((constant)) static const
#define UNROLL _Pragma("unroll")
#define KERNEL(name, P) extern "C" __attribute__((global)) void name(const P p)

// KERNEL_OF is a KERNEL of at most so many threads a block: registers are given out so that they fit.
#define KERNEL_OF(most, name, P) extern "C" __attribute__((global, launch_bounds(most))) void name(const P p)

// KERNEL_TWICE is a KERNEL_OF that two blocks of a processor have registers for.
#define KERNEL_TWICE(most, name, P) extern "C" __attribute__((global, launch_bounds(most, 2))) void name(const P p)

DEV u32 tid() { return __nvvm_read_ptx_sreg_tid_x(); }
DEV u32 threads() { return __nvvm_read_ptx_sreg_ntid_x(); }
DEV u32 block_x() { return __nvvm_read_ptx_sreg_ctaid_x(); }
DEV u32 block_y() { return __nvvm_read_ptx_sreg_ctaid_y(); }
DEV u32 block_z() { return __nvvm_read_ptx_sreg_ctaid_z(); }
DEV u32 blocks_x() { return __nvvm_read_ptx_sreg_nctaid_x(); }
DEV u32 blocks_y() { return __nvvm_read_ptx_sreg_nctaid_y(); }

// sync waits for all threads of the block.
DEV void sync() { __syncthreads(); }

// exchange is v of the thread of the warp whose number differs in the bits of m.
DEV u32 exchange(u32 v, u32 m) { return (u32)__nvvm_shfl_sync_bfly_i32(0xffffffffu, (int)v, (int)m, 31); }

DEV float f16_value(u16 h) {
	float f;
	asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h));
	return f;
}

DEV u16 f16_of(float f) {
	u16 h;
	asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f));
	return h;
}

// power2 is 2 to the power x, to about 2 ulp; 0 where that is below normal numbers.
DEV float power2(float x) {
	float y;
	asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
	return y;
}

// dot4 adds the products of the four bytes of a, without a sign, and of b, with one.
DEV i32 dot4(u32 a, u32 b, i32 sum) {
	i32 d;
	asm("dp4a.u32.s32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(sum));
	return d;
}

// permute takes four of the bytes of a, 0 to 3, and b, 4 to 7: those that the four
// lower digits of s say, to base 16 and below 8.
DEV u32 permute(u32 a, u32 b, u32 s) {
	u32 d;
	asm("prmt.b32 %0, %1, %2, %3;" : "=r"(d) : "r"(a), "r"(b), "r"(s));
	return d;
}

// load_if reads 2 or 4 bytes of the device's memory, which the kernel does not write, or is 0 and reads nothing:
// one instruction, where compilers take a branch.
template <u32 bytes> DEV u32 load_if(const void *from, bool yes) {
	static_assert(bytes == 2 || bytes == 4);
	if constexpr (bytes == 4) {
		u32 v;
		asm volatile("{.reg .pred is; setp.ne.u32 is, %2, 0; mov.b32 %0, 0; @is ld.global.nc.b32 %0, [%1];}" : "=&r"(v) : "l"(from), "r"((u32)yes));
		return v;
	}
	u16 v;
	asm volatile("{.reg .pred is; setp.ne.u32 is, %2, 0; mov.b16 %0, 0; @is ld.global.nc.b16 %0, [%1];}" : "=&h"(v) : "l"(from), "r"((u32)yes));
	return v;
}

// least makes *at v if that is less.
DEV void least(u32 *at, u32 v) { asm volatile("red.global.min.u32 [%0], %1;" ::"l"(at), "r"(v) : "memory"); }
#endif

// Several numbers that are loaded at once.
typedef u32 u32x2 __attribute__((vector_size(8)));
typedef u32 u32x4 __attribute__((vector_size(16)));
typedef float f32x4 __attribute__((vector_size(16)));

// Warp is the threads that run together.
static const u32 Warp = 32;

DEV float f32_bits(u32 u) { return __builtin_bit_cast(float, u); }
DEV u32 bits_f32(float f) { return __builtin_bit_cast(u32, f); }
DEV double f64_bits(u64 u) { return __builtin_bit_cast(double, u); }
DEV u64 bits_f64(double f) { return __builtin_bit_cast(u64, f); }
DEV float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
DEV double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }

// place is the number of the thread in the whole row of blocks.
DEV u64 place() { return (u64)block_x() * threads() + tid(); }

// add_up adds n to *at and gives what was there; whole sums are the same in any order.
DEV u32 add_up(u32 *at, u32 n) { return __atomic_fetch_add(at, n, __ATOMIC_RELAXED); }
