// Products of f16 by wgmma.
#include "product_wgmma.h"

KERNEL_OF(384, product_wgmma_f16_kk_128, Async) { multiply_async<F16, true, true, 2, 192>(p); }
KERNEL_OF(384, product_wgmma_f16_kn_128, Async) { multiply_async<F16, true, false, 2, 192>(p); }
KERNEL_OF(384, product_wgmma_f16_mn_128, Async) { multiply_async<F16, false, false, 2, 192>(p); }
KERNEL_OF(256, product_wgmma_f16_kk_64, Async) { multiply_async<F16, true, true, 1, 64>(p); }
KERNEL_OF(256, product_wgmma_f16_kn_64, Async) { multiply_async<F16, true, false, 1, 64>(p); }
KERNEL_OF(256, product_wgmma_f16_mn_64, Async) { multiply_async<F16, false, false, 1, 64>(p); }
