// Products of f32 with f32, rounded to tf32.
#include "product_few.h"

KERNEL(product_tf32_kk_128, MatMul) { multiply<F32, true, true, true, 128>(p); }
KERNEL(product_tf32_kn_128, MatMul) { multiply<F32, true, true, false, 128>(p); }
KERNEL(product_tf32_mk_128, MatMul) { multiply<F32, true, false, true, 128>(p); }
KERNEL(product_tf32_mn_128, MatMul) { multiply<F32, true, false, false, 128>(p); }
KERNEL(product_tf32_kk_64, MatMul) { multiply<F32, true, true, true, 64>(p); }
KERNEL(product_tf32_kn_64, MatMul) { multiply<F32, true, true, false, 64>(p); }
KERNEL(product_tf32_mk_64, MatMul) { multiply<F32, true, false, true, 64>(p); }
KERNEL(product_tf32_mn_64, MatMul) { multiply<F32, true, false, false, 64>(p); }

KERNEL(product_tf32_k_few, MatMul) { multiply_few<F32, true, true, 1, 1>(p); }
KERNEL(product_tf32_n_few, MatMul) { multiply_few<F32, true, false, 1, 1>(p); }
KERNEL(product_tf32_k_few_long, MatMul) { multiply_few<F32, true, true, 2, 1>(p); }
KERNEL(product_tf32_n_few_long, MatMul) { multiply_few<F32, true, false, 2, 1>(p); }
KERNEL(product_tf32_k_some, MatMul) { multiply_few<F32, true, true, 2, 4>(p); }
KERNEL(product_tf32_n_some, MatMul) { multiply_few<F32, true, false, 2, 4>(p); }
