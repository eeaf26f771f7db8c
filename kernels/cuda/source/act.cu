// Activation functions as ops of their own, and their gradients: 2 to 5 tensors
// through memory, once each, with 15 to 60 operations an element, so that bytes
// rule (0.6 to 0.24 elements of f32 a picosecond at 4.8 TB/s of an H200).
#include "row.h"
#include "activation.h"

struct Act {
	void *y, *second;
	const void *x, *up, *dy; // up may be left out, and dy where no gradient is wanted
	u64 n;
	u32 type, function;
	u32 quads; // whether n and all tensors are multiples of four elements
	float slope, alpha;
};

// Steep is fn(x) and fn'(x).
struct Steep {
	float y, d;
};

// steep has the slope of the left side at a kink.
template <u32 f> ALWAYS Steep steep(float x, float slope, float alpha) {
	float s;
	switch (f) {
	case Silu: s = sigmoid_of(x); return {x * s, s + x * s * (1.0f - s)};
	case Gelu: s = 0.5f + 0.5f * erf_of(0x1.6a09e6p-1f * x); return {x * s, s + 0x1.988454p-2f * (x * exp_of(-0.5f * (x * x)))};
	case GeluTanh: { // of sigmoids: (1 + tanh(u)) / 2 = sigmoid(2 u)
		float t = x * x, c = 0x1.988454p+0f;
		s = sigmoid_of(x * (c + 0x1.2444f2p-4f * t));
		return {x * s, s * (1.0f + x * (c + 0x1.b6676cp-3f * t) * (1.0f - s))};
	}
	case QuickGelu: s = sigmoid_of(1.702f * x); return {x * s, s + 1.702f * x * s * (1.0f - s)};
	case SigmoidOf: s = sigmoid_of(x); return {s, s * (1.0f - s)};
	case TanhOf: s = tanh_of(x); return {s, 1.0f - s * s};
	case Softplus: return {activate(Softplus, x), sigmoid_of(x)};
	case Mish: {
		float e = exp_of(lesser(20.0f, x)), w = e * (e + 2.0f);
		s = w / (w + 2.0f);
		return {x * s, s + x * (1.0f - s * s) * sigmoid_of(x)};
	}
	case Relu: return {x <= 0.0f ? 0.0f : x, x <= 0.0f ? 0.0f : 1.0f};
	case LeakyRelu: return {x <= 0.0f ? slope * x : x, x <= 0.0f ? slope : 1.0f};
	case Elu: return {x <= 0.0f ? alpha * expm1_of(x) : x, x <= 0.0f ? alpha * exp_of(x) : 1.0f};
	case Relu2: return {x <= 0.0f ? 0.0f : x * x, x <= 0.0f ? 0.0f : 2.0f * x};
	}
	return {x, 1.0f};
}

// some is 4 elements of a tensor, or one; those of what was left out are 1.
template <u32 N> ALWAYS void some(float *v, const void *p, u32 type, u64 i) {
#pragma unroll
	for (u32 k = 0; k < N; k++) v[k] = 1.0f;
	if (!p) return;
	if (N == 4)
		load4(v, p, type, i);
	else
		v[0] = load_float(p, type, i);
}

template <u32 N> ALWAYS void keep(void *p, u32 type, u64 i, const float *v) {
	if (N == 4)
		store4(p, type, i, v);
	else
		store_float(p, type, i, v[0]);
}

template <u32 f, u32 N> ALWAYS void each(const Act &p) {
	for (u64 i = N * place(); i < p.n; i += N * (u64)blocks_x() * threads()) {
		float x[N], up[N], dy[N], first[N], second[N];
		some<N>(x, p.x, p.type, i);
		some<N>(up, p.up, p.type, i);
		some<N>(dy, p.dy, p.type, i);
#pragma unroll
		for (u32 k = 0; k < N; k++) {
			Steep s = steep<f>(x[k], p.slope, p.alpha);
			first[k] = p.dy ? s.d * (dy[k] * up[k]) : s.y * up[k], second[k] = s.y * dy[k];
		}
		keep<N>(p.y, p.type, i, first);
		if (p.second) keep<N>(p.second, p.type, i, second);
	}
}

template <u32 f> ALWAYS void all(const Act &p) {
	if (p.quads)
		each<f, 4>(p);
	else
		each<f, 1>(p);
}

// act is y = fn(x) up. With dy it is y = fn'(x) up dy and second = fn(x) dy, the
// gradients by x and up.
KERNEL(act, Act) {
	switch (p.function) {
	case Silu: return all<Silu>(p);
	case Gelu: return all<Gelu>(p);
	case GeluTanh: return all<GeluTanh>(p);
	case QuickGelu: return all<QuickGelu>(p);
	case Relu: return all<Relu>(p);
	case LeakyRelu: return all<LeakyRelu>(p);
	case SigmoidOf: return all<SigmoidOf>(p);
	case TanhOf: return all<TanhOf>(p);
	case Softplus: return all<Softplus>(p);
	case Mish: return all<Mish>(p);
	case Elu: return all<Elu>(p);
	case Relu2: return all<Relu2>(p);
	}
}
