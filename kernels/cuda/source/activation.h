// The activation functions that products end with.
#pragma once
#include "number.h"

// Activation is one of them, as numbered in kernels/cuda/activation.go; leaky_relu
// and elu have the parameters that documents have by default.
enum Activation : u32 { None, Silu, Gelu, GeluTanh, QuickGelu, Relu, LeakyRelu, SigmoidOf, TanhOf, Softplus, Mish, Elu, Relu2 };

DEV float activate(u32 f, float x) {
	switch (f) {
	case Silu: return x * sigmoid_of(x);
	case Gelu: return 0.5f * x * (1.0f + erf_of(0x1.6a09e6p-1f * x));
	case GeluTanh: return 0.5f * x * (1.0f + tanh_of(0x1.988454p-1f * (x + 0x1.6e4e26p-5f * (x * (x * x)))));
	case QuickGelu: return x * sigmoid_of(1.702f * x);
	case Relu: return x <= 0.0f ? 0.0f : x;
	case LeakyRelu: return x <= 0.0f ? 0.01f * x : x;
	case SigmoidOf: return sigmoid_of(x);
	case TanhOf: return tanh_of(x);
	case Softplus: return (x <= 0.0f ? 0.0f : x) + log_of(1.0f + exp_of(-magnitude(x)));
	case Mish: { // tanh(ln(1+e)) = w / (w+2) for w = e (e+2)
		float e = exp_of(lesser(20.0f, x)), w = e * (e + 2.0f);
		return x * (w / (w + 2.0f));
	}
	case Elu: return x <= 0.0f ? expm1_of(x) : x;
	case Relu2: return x <= 0.0f ? 0.0f : x * x;
	}
	return x;
}
