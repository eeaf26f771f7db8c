// Products of bf16.
#include "product_few.h"

KERNEL(product_bf16_kk_128, MatMul) { multiply<BF16, false, true, true, 128>(p); }
KERNEL(product_bf16_kn_128, MatMul) { multiply<BF16, false, true, false, 128>(p); }
KERNEL(product_bf16_mk_128, MatMul) { multiply<BF16, false, false, true, 128>(p); }
KERNEL(product_bf16_mn_128, MatMul) { multiply<BF16, false, false, false, 128>(p); }
KERNEL(product_bf16_kk_64, MatMul) { multiply<BF16, false, true, true, 64>(p); }
KERNEL(product_bf16_kn_64, MatMul) { multiply<BF16, false, true, false, 64>(p); }
KERNEL(product_bf16_mk_64, MatMul) { multiply<BF16, false, false, true, 64>(p); }
KERNEL(product_bf16_mn_64, MatMul) { multiply<BF16, false, false, false, 64>(p); }

KERNEL(product_bf16_k_few, MatMul) { multiply_few<BF16, false, true, 1, 1>(p); }
KERNEL(product_bf16_n_few, MatMul) { multiply_few<BF16, false, false, 1, 1>(p); }
KERNEL(product_bf16_k_few_long, MatMul) { multiply_few<BF16, false, true, 2, 1>(p); }
KERNEL(product_bf16_n_few_long, MatMul) { multiply_few<BF16, false, false, 2, 1>(p); }
KERNEL(product_bf16_k_some, MatMul) { multiply_few<BF16, false, true, 2, 4>(p); }
KERNEL(product_bf16_n_some, MatMul) { multiply_few<BF16, false, false, 2, 4>(p); }
