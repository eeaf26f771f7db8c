// Products of f32 with weights in bf16.
#include "product_few.h"

KERNEL(product_wide_bf16_kk_128, MatMul) { multiply<BF16, true, true, true, 128>(p); }
KERNEL(product_wide_bf16_kn_128, MatMul) { multiply<BF16, true, true, false, 128>(p); }
KERNEL(product_wide_bf16_kk_64, MatMul) { multiply<BF16, true, true, true, 64>(p); }
KERNEL(product_wide_bf16_kn_64, MatMul) { multiply<BF16, true, true, false, 64>(p); }

KERNEL_TWICE(256, product_wide_bf16_k_few, MatMul) { multiply_few<BF16, true, true, 1, 1>(p); }
KERNEL_TWICE(256, product_wide_bf16_n_few, MatMul) { multiply_few<BF16, true, false, 1, 1>(p); }
KERNEL(product_wide_bf16_k_few_long, MatMul) { multiply_few<BF16, true, true, 2, 1>(p); }
KERNEL(product_wide_bf16_n_few_long, MatMul) { multiply_few<BF16, true, false, 2, 1>(p); }
KERNEL(product_wide_bf16_k_some, MatMul) { multiply_few<BF16, true, true, 2, 4>(p); }
KERNEL(product_wide_bf16_n_some, MatMul) { multiply_few<BF16, true, false, 2, 4>(p); }
