// The functions that chains call, which kernels/cuda/emit takes one by one from
// the PTX of this. There is no kernel here.
#include "function.h"

#ifndef PIPE_EMULATOR
#define ONE(name, f) extern "C" __attribute__((device)) float pipe_##name(float a) { return function_of(f, a, 0.0f); }
#define TWO(name, f) extern "C" __attribute__((device)) float pipe_##name(float a, float b) { return function_of(f, a, b); }

ONE(sign, Sign)
ONE(exp, Exp)
ONE(log, Log)
ONE(rsqrt, Rsqrt)
ONE(sin, Sin)
ONE(cos, Cos)
ONE(tanh, Tanh)
ONE(sigmoid, Sigmoid)
ONE(erf, Erf)
ONE(floor, Floor)
TWO(pow, Pow)
TWO(max, Max)
TWO(min, Min)
#endif
