// What source/wgmma.h has, for kernels that g++ compiles.
#pragma once

typedef u64 Barrier;

// shared_place is an address in shared memory, of which a device keeps the first KiB.
DEV u32 shared_place(const void *p) { return (u32)((const u8 *)p - emulator::room) + emulator::room_begins; }

template <u32 type, u32 N, bool a_along, bool b_along> DEV void wgmma(float *sum, u64 a, u64 b, u32 keep) {
	static_assert(N % 8 == 0 && N >= 8 && N <= 256);
	static_assert(type == BF16 || type == F16);
	emulator::product_later({a, b, sum, N, keep != 0, !a_along, !b_along, type == BF16 ? bf16_value : f16_value, nullptr});
}

template <u32 type, u32 N, bool b_along> DEV void wgmma_held(float *sum, const u32 *a, u64 b, u32 keep) {
	static_assert(N % 8 == 0 && N >= 8 && N <= 256);
	static_assert(type == BF16 || type == F16);
	emulator::product_later({0, b, sum, N, keep != 0, false, !b_along, type == BF16 ? bf16_value : f16_value, a});
}

DEV void fence_products() { emulator::fence_products(); }
DEV void commit_products() { emulator::commit_products(); }
template <u32 N> DEV void settled(float *) {}
template <u32 left, u32 N> DEV void wait_products(float *) { emulator::wait_products(left); }

DEV void make_barrier(Barrier *b, u32 count) { emulator::make_barrier(b, count); }
DEV void arrive(Barrier *b) { emulator::arrive(b); }
DEV void wait_barrier(Barrier *b, u32 parity, u32 *late) { emulator::wait_barrier(b, parity, late); }
DEV void fence_async() { emulator::fence_async(); }

template <u32 n> DEV void more_registers() { emulator::set_registers(n); }
template <u32 n> DEV void less_registers() { emulator::set_registers(n); }
