// Functions of one or two floats by their number.
#pragma once
#include "number.h"

// Function is what is computed, as numbered in kernels/cuda/elementwise.go.
enum Function : u32 {
	Neg, Abs, Sign, Exp, Log, Sqrt, Rsqrt, Sin, Cos, Tanh, Sigmoid, Erf, Floor,
	Add, Sub, Mul, Div, Pow, Max, Min,
	Eq, Ne, Lt, Le,
	Not, And, Or,
};

DEV float function_of(u32 f, float a, float b) {
	switch (f) {
	case Neg: return -a;
	case Abs: return magnitude(a);
	case Sign: return a > 0.0f ? 1.0f : a < 0.0f ? -1.0f : 0.0f;
	case Exp: return exp_of(a);
	case Log: return log_of(a);
	case Sqrt: return __builtin_sqrtf(a);
	case Rsqrt: return 1.0f / __builtin_sqrtf(a);
	case Sin: return circle(a, 0);
	case Cos: return circle(a, 1);
	case Tanh: return tanh_of(a);
	case Sigmoid: return sigmoid_of(a);
	case Erf: return erf_of(a);
	case Floor: return __builtin_floorf(a);
	case Add: return a + b;
	case Sub: return a - b;
	case Mul: return a * b;
	case Div: return a / b;
	case Pow: return pow_of(a, b);
	case Max: return a > b || a != a ? a : b;
	case Min: return a < b || a != a ? a : b;
	}
	return 0.0f;
}
