// Attention of many rows by wgmma, of f16.
#include "attention_wgmma.h"

KERNEL_OF(384, attention_wgmma_f16_64, AsyncForward) { attend_async<F16, 64>(p); }
KERNEL_OF(384, attention_wgmma_f16_96, AsyncForward) { attend_async<F16, 96>(p); }
KERNEL_OF(384, attention_wgmma_f16_128, AsyncForward) { attend_async<F16, 128>(p); }
