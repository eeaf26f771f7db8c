// Numbers: the element types of tensors, and functions of one float.
//
// The functions are those of kernels/cpu/asm (math.go, circle.go), operation by
// operation, so that both devices compute the same bits. Each operation is
// rounded as written, and fma once.
#pragma once
#include "gpu.h"

// Type is the element type of a tensor, as numbered in kernels/cuda/launch.go.
enum Type : u32 { F32, BF16, F16, F64, I64, I32, I8, U8 };

DEV float bf16_value(u16 h) { return f32_bits((u32)h << 16); }

DEV u16 bf16_of(float f) {
	u32 u = bits_f32(f);
	if (f != f) return (u16)(u >> 16 | 0x40);
	return (u16)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

// load_float reads element i of a tensor of f32, bf16 or f16.
DEV float load_float(const void *p, u32 type, i64 i) {
	switch (type) {
	case BF16: return bf16_value(((const u16 *)p)[i]);
	case F16: return f16_value(((const u16 *)p)[i]);
	}
	return ((const float *)p)[i];
}

DEV void store_float(void *p, u32 type, i64 i, float v) {
	switch (type) {
	case BF16: ((u16 *)p)[i] = bf16_of(v); return;
	case F16: ((u16 *)p)[i] = f16_of(v); return;
	}
	((float *)p)[i] = v;
}

// rounded is v as a tensor of a type has it.
DEV float rounded(u32 type, float v) {
	switch (type) {
	case BF16: return bf16_value(bf16_of(v));
	case F16: return f16_value(f16_of(v));
	}
	return v;
}

// joined is what is stored for v in a tensor of a type where v is added to element i of
// z, another of that type: the bits of v stored, and then added.
DEV float joined(const void *z, u32 type, i64 i, float v) { return load_float(z, type, i) + rounded(type, v); }

// load_whole reads element i of a tensor of whole numbers.
DEV i64 load_whole(const void *p, u32 type, i64 i) {
	switch (type) {
	case I64: return ((const i64 *)p)[i];
	case I32: return ((const i32 *)p)[i];
	case I8: return ((const i8 *)p)[i];
	}
	return ((const u8 *)p)[i];
}

DEV void store_whole(void *p, u32 type, i64 i, i64 v) {
	switch (type) {
	case I64: ((i64 *)p)[i] = v; return;
	case I32: ((i32 *)p)[i] = (i32)v; return;
	case I8: ((i8 *)p)[i] = (i8)v; return;
	}
	((u8 *)p)[i] = (u8)v;
}

static constexpr float log2e = 0x1.715476p+00f, ln2_high = 0x1.62ep-01f, ln2_low = 0x1.0bfbe8p-15f, round_magic = 0x1.8p+23f;
static constexpr float exp_high = 0x1.64p+06f, exp_low = -0x1.a4p+06f, tanh_high = 0x1.4p+03f;

// lesser and greater pick b unless a is smaller or greater: a NaN in b stays.
DEV float lesser(float a, float b) { return a < b ? a : b; }
DEV float greater(float a, float b) { return a > b ? a : b; }
DEV float magnitude(float x) { return f32_bits(bits_f32(x) & 0x7fffffff); }
DEV float with_sign(float x, float y) { return f32_bits(bits_f32(x) | (bits_f32(y) & 0x80000000)); }
DEV float power_of_two(i32 n) { return f32_bits((u32)(n + 127) << 23); }

// exp_parts is x = n ln(2) + r, and round_magic + n.
DEV float exp_parts(float x, float *r) {
	float t = fma(x, log2e, round_magic), n = t - round_magic;
	*r = fma(-n, ln2_low, fma(-n, ln2_high, x));
	return t;
}

DEV float exp_series(float r) {
	float p = fma(0x1.6a4d6p-10f, r, 0x1.12398ep-07f);
	p = fma(p, r, 0x1.5558bp-05f);
	p = fma(p, r, 0x1.555492p-03f);
	return fma(p, r, 0x1.fffffcp-02f);
}

DEV i32 whole_of(float t) { return (i32)(bits_f32(t) - bits_f32(round_magic)); }

// exp_down is eˣ for x <= exp_high.
DEV float exp_down(float x) {
	float r, t = exp_parts(greater(exp_low, x), &r);
	float p = fma(fma(exp_series(r), r, 1.0f), r, 1.0f);
	i32 n = whole_of(t), half = n >> 1;
	return p * power_of_two(half) * power_of_two(n - half);
}

DEV float exp_of(float x) { return exp_down(lesser(exp_high, x)); }

DEV float expm1_near(float x) {
	float r, t = exp_parts(x, &r);
	float q = fma(exp_series(r), r * r, r), two = power_of_two(whole_of(t));
	return fma(q, two, two - 1.0f);
}

DEV float expm1_of(float x) { return expm1_near(greater(-0x1.4p+04f, lesser(0.0f, x))); }

DEV float sigmoid_of(float x) {
	float e = exp_down(f32_bits(bits_f32(x) | 0x80000000));
	return x < 0.0f ? e / (e + 1.0f) : 1.0f / (e + 1.0f);
}

DEV float tanh_of(float x) {
	float a = lesser(tanh_high, magnitude(x)), m = expm1_near(a + a);
	return with_sign(m / (m + 2.0f), x);
}

// log_parts is k ln(2) + ln(1 + f) for -1/4 <= f <= 1/2.
DEV float log_parts(float f, float k) {
	float square = f * f;
	float p = fma(-0x1.717abap-05f, f, 0x1.acd6d4p-04f);
	p = fma(p, f, -0x1.0da16ap-03f);
	p = fma(p, f, 0x1.28871ep-03f);
	p = fma(p, f, -0x1.54ee1cp-03f);
	p = fma(p, f, 0x1.99694ep-03f);
	p = fma(p, f, -0x1.000044p-02f);
	p = fma(p, f, 0x1.5555a4p-02f);
	float y = p * f * square;
	y = fma(k, ln2_low, y);
	y = fma(square, -0.5f, y);
	return fma(k, ln2_high, y + f);
}

DEV float log_of(float x) {
	if (x < 0.0f) return f32_bits(0x7fc00000);
	if (x == 0.0f) return f32_bits(0xff800000);
	if (!(x <= 0x1.fffffep+127f)) return x;
	float m = x, k = 0.0f;
	if (x < 0x1p-126f) m = x * 0x1p23f, k = -23.0f;
	i32 u = (i32)bits_f32(m), e = (u - (i32)bits_f32(0.75f)) >> 23;
	return log_parts(f32_bits((u32)(u - e * (1 << 23))) - 1.0f, (float)e + k);
}

DEV float erf_of(float x) {
	float a = magnitude(x);
	if (a < 0x1.b33334p-01f) {
		float s = x * x;
		float p = fma(-0x1.4cd86p-11f, s, 0x1.4b763p-08f);
		p = fma(p, s, -0x1.b735eap-06f);
		p = fma(p, s, 0x1.ce256ap-04f);
		p = fma(p, s, -0x1.812726p-02f);
		p = fma(p, s, 0x1.06eba8p-03f);
		return with_sign(fma(a, p, a), x);
	}
	float b = lesser(4.0f, a);
	float p = fma(-0x1.ab270cp-13f, b, 0x1.98ab46p-09f);
	p = fma(p, b, -0x1.70f454p-06f);
	p = fma(p, b, 0x1.ac239ap-04f);
	p = fma(p, b, 0x1.45e5cap-01f);
	p = fma(p, b, 0x1.20c89cp+00f);
	p = fma(p, b, 0x1.b6651cp-14f);
	return with_sign(1.0f - exp_down(-p), x);
}

// Turn is an angle of n quarters and r: the sine and cosine of r.
struct Turn {
	u64 n;
	double sin, cos;
};

DEV Turn turn_of(u64 n, double r) {
	double z = r * r;
	double s = fma(0x1.5d8fd1fd19ccdp-33, z, -0x1.ae5e5a9291f5dp-26);
	s = fma(s, z, 0x1.71de3567d48a1p-19);
	s = fma(s, z, -0x1.a01a019bfdf03p-13);
	s = fma(s, z, 0x1.111111110f7dp-07);
	s = fma(s, z, -0x1.5555555555548p-03);
	double c = fma(-0x1.8fa49a0861a9bp-37, z, 0x1.1ee9d7b4e3f05p-29);
	c = fma(c, z, -0x1.27e4f7eac4bc6p-22);
	c = fma(c, z, 0x1.a01a019c844f5p-16);
	c = fma(c, z, -0x1.6c16c16c14f91p-10);
	c = fma(c, z, 0x1.555555555554bp-05);
	return {n, fma(s, r * z, r), fma(c, z * z, fma(z, -0.5, 1.0))};
}

// turn_near is for |x| < 2^50.
DEV Turn turn_near(double x) {
	const double magic = 0x1.8p+52;
	double t = fma(x, 0x1.45f306dc9c883p-01, magic), n = t - magic;
	return turn_of(bits_f64(t), fma(-n, 0x1.1a62633145c07p-54, fma(-n, 0x1.921fb54442d18p+00, x)));
}

// turn_far is for |x| >= 2^24: of 2/pi times x only the 96 bits count whose
// weights are from 2 to 2^-94.
DEV Turn turn_far(float x) {
	const u32 two_over_pi[] = {0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab, 0xdebbc561};
	u32 u = bits_f32(x), first = (u >> 23 & 255) - 150 - 2; // the first of these bits, counted from 0
	u64 m = (u & 0x7fffff) | 0x800000, carry = 0;
	u32 word[3];
	for (int i = 2; i >= 0; i--) {
		u32 at = first + 32 * i;
		u64 both = (u64)two_over_pi[at / 32] << 32 | two_over_pi[at / 32 + 1];
		u64 v = m * (u32)(both >> (32 - at % 32)) + carry;
		word[i] = (u32)v;
		carry = v >> 32;
	}
	u64 n = word[0] >> 30;
	double f = (double)((u64)(word[0] & 0x3fffffff) << 34 | (u64)word[1] << 2 | word[2] >> 30) * 0x1p-64;
	if (f >= 0.5) f -= 1.0, n++;
	if (u >> 31) f = -f, n = 0 - n;
	return turn_of(n, f * 0x1.921fb54442d18p+00);
}

// part is the sine of the angle and so many quarters more.
DEV double part(Turn t, u64 quarters) {
	u64 n = t.n + quarters;
	return f64_bits(bits_f64(n & 1 ? t.cos : t.sin) ^ (n << 62 & 0x8000000000000000));
}

// circle is the sine of x, or for quarters = 1 the cosine.
DEV float circle(float x, u64 quarters) {
	float a = magnitude(x);
	if (!(a <= 0x1.fffffep+127f)) return f32_bits(0x7fc00000);
	return (float)part(a < 0x1p30f ? turn_near((double)x) : turn_far(x), quarters);
}

// log_wide is ln(x) for a finite x > 0, to about 2^-50.
DEV double log_wide(double x) {
	i64 u = (i64)bits_f64(x), k = 0;
	if (x < 0x1p-1022) u = (i64)bits_f64(x * 0x1p54), k = -54;
	i64 e = (u - (i64)bits_f64(0x1.6a09e667f3bcdp-1)) >> 52;
	double m = f64_bits((u64)(u - e * (1ll << 52)));
	double s = (m - 1.0) / (m + 1.0), z = s * s, p = 0.0;
	for (int i = 23; i >= 3; i -= 2) p = fma(p, z, 1.0 / i);
	return fma((double)(e + k), 0x1.62e42fefa39efp-1, 2.0 * fma(p * z, s, s));
}

// exp_wide is eˣ, to about 2^-50; infinite above 700 and 0 below -700, which is
// far beyond floats.
DEV double exp_wide(double x) {
	if (x > 700.0) return f64_bits(0x7ff0000000000000);
	if (x < -700.0) return 0.0;
	const double magic = 0x1.8p+52;
	double t = fma(x, 0x1.71547652b82fep+0, magic), n = t - magic;
	double r = fma(-n, 0x1.abc9e3b39803fp-56, fma(-n, 0x1.62e42fefa39efp-1, x)), p = 1.0;
	for (int i = 14; i >= 1; i--) p = fma(p, r / i, 1.0);
	return p * f64_bits((bits_f64(t) - bits_f64(magic) + 1023) << 52);
}

// pow_of is a to the power b, with the cases of IEEE 754.
DEV float pow_of(float a, float b) {
	if (b == 0.0f || a == 1.0f) return 1.0f;
	if (a != a || b != b) return f32_bits(0x7fc00000);
	float size = magnitude(b);
	bool whole = size >= 0x1p24f || __builtin_floorf(b) == b;
	bool odd = whole && size < 0x1p24f && ((i32)b & 1);
	float x = magnitude(a), y;
	if (x == 0.0f || x > 0x1.fffffep+127f) {
		y = (x == 0.0f) == (b > 0.0f) ? 0.0f : f32_bits(0x7f800000);
	} else if (a < 0.0f && !whole) {
		return f32_bits(0x7fc00000);
	} else if (size > 0x1.fffffep+127f) {
		y = x == 1.0f ? 1.0f : (x > 1.0f) == (b > 0.0f) ? f32_bits(0x7f800000) : 0.0f;
	} else {
		y = (float)exp_wide((double)b * log_wide((double)x));
	}
	return odd && bits_f32(a) >> 31 ? -y : y;
}
