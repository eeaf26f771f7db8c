// What source/tensor.h has, for kernels that g++ compiles.
#pragma once

// multiply_add computes the four sums of a thread of what its warp has brought:
// left and right are element i of a word.
template <u32 per, typename T, typename Left, typename Right, typename Add> static void multiply_add(u32 what, T *sum, const u32 *a, const u32 *b, Left left, Right right, Add add) {
	const u32 words[] = {a[0], a[1], a[2], a[3], b[0], b[1]};
	const emulator::Post *post = emulator::meet(what, words);
	u32 g = tid() % 32 / 4, t = tid() % 4;
	for (u32 i = 0; i < 4; i++)
		for (u32 k = 0; k < 8 * per; k++) {
			u32 lane = k / per % 4, half = k / per / 4;
			sum[i] = add(left(post[g * 4 + lane].words[i / 2 + 2 * half], k % per), right(post[(2 * t + i % 2) * 4 + lane].words[4 + half], k % per), sum[i]);
		}
}

template <u32 type> DEV float half_of(u32 word, u32 i) {
	u16 h = (u16)(word >> 16 * i);
	return type == BF16 ? bf16_value(h) : f16_value(h);
}

template <u32 type> DEV void mma_half(float *sum, const u32 *a, const u32 *b) {
	multiply_add<2>(emulator::MmaHalf + type, sum, a, b, half_of<type>, half_of<type>, [](float x, float y, float s) { return __builtin_fmaf(x, y, s); });
}

template <u32 type> DEV u32 pack_half(float low, float high) {
	return type == BF16 ? (u32)bf16_of(low) | (u32)bf16_of(high) << 16 : (u32)f16_of(low) | (u32)f16_of(high) << 16;
}

DEV void mma_tf32(float *sum, const u32 *a, const u32 *b) {
	auto value = [](u32 word, u32) { return __builtin_bit_cast(float, word & 0xffffe000); };
	multiply_add<1>(emulator::MmaTF32, sum, a, b, value, value, [](float x, float y, float s) { return __builtin_fmaf(x, y, s); });
}

DEV i32 byte_of(u32 word, u32 i) { return (i8)(word >> 8 * i); }
DEV i32 whole_add(i32 x, i32 y, i32 s) { return (i32)((u32)s + (u32)(x * y)); }

DEV void mma_i8(i32 *sum, const u32 *a, const u32 *b) { multiply_add<4>(emulator::MmaI8, sum, a, b, byte_of, byte_of, whole_add); }
DEV void mma_u8(i32 *sum, const u32 *a, const u32 *b) {
	multiply_add<4>(emulator::MmaU8, sum, a, b, [](u32 word, u32 i) { return (i32)(u8)(word >> 8 * i); }, byte_of, whole_add);
}

DEV u32 tf32_of(float f) {
	u32 u = __builtin_bit_cast(u32, f);
	if ((u & 0x7fffffff) > 0x7f800000) return 0x7fffffff; // as the device makes NaN
	return (u & 0x7fffffff) == 0x7f800000 ? u : (u + 0x1000) & 0xffffe000;
}

// Each thread shows the row that it names, and where that lies.
template <u32 count, bool transposed> DEV void load_matrices(u32 *to, const void *row) {
	u32 lane = tid() % 32, g = lane / 4, t = lane % 4, words[6] = {};
	if (lane < 8 * count) {
		words[4] = (u32)(u64)row, words[5] = (u32)((u64)row >> 32);
		if ((u64)row % 16) emulator::stray("a row for ldmatrix is not at a multiple of 16 bytes");
		__builtin_memcpy(words, row, 16);
	}
	const emulator::Post *post = emulator::meet(emulator::Matrices + count, words);
	if (lane % 8 == 0 && lane < 8 * count) emulator::count_conflicts(post + lane);
	for (u32 i = 0; i < count; i++) {
		const emulator::Post *rows = post + 8 * i;
		if (!transposed)
			to[i] = rows[g].words[t];
		else
			to[i] = (u16)(rows[2 * t].words[g / 2] >> 16 * (g % 2)) | (rows[2 * t + 1].words[g / 2] >> 16 * (g % 2)) << 16;
	}
}

template <u32 bytes> DEV void copy_async(void *to, const void *from, u32 n) {
	static_assert(bytes == 4 || bytes == 8 || bytes == 16);
	if ((u64)to % bytes || (u64)from % bytes) emulator::stray("cp.async between places that are no multiples of its size");
	emulator::copy_later(to, from, bytes, n < bytes ? n : bytes);
}

DEV void commit_copies() { emulator::commit_copies(); }
template <u32 left> DEV void wait_copies() { emulator::wait_copies(left); }
DEV void sync_warp() {
	const u32 nothing[6] = {};
	emulator::meet(emulator::SyncWarp, nothing);
}

DEV u8 *room() { return emulator::room; }
