// Products of bf16 by wgmma.
#include "product_wgmma.h"

KERNEL_OF(384, product_wgmma_bf16_kk_128, Async) { multiply_async<BF16, true, true, 2, 192>(p); }
KERNEL_OF(384, product_wgmma_bf16_kn_128, Async) { multiply_async<BF16, true, false, 2, 192>(p); }
KERNEL_OF(384, product_wgmma_bf16_mn_128, Async) { multiply_async<BF16, false, false, 2, 192>(p); }
KERNEL_OF(256, product_wgmma_bf16_kk_64, Async) { multiply_async<BF16, true, true, 1, 64>(p); }
KERNEL_OF(256, product_wgmma_bf16_kn_64, Async) { multiply_async<BF16, true, false, 1, 64>(p); }
KERNEL_OF(256, product_wgmma_bf16_mn_64, Async) { multiply_async<BF16, false, false, 1, 64>(p); }
