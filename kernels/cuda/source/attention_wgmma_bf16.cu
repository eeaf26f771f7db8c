// Attention of many rows by wgmma, of bf16.
#include "attention_wgmma.h"

KERNEL_OF(384, attention_wgmma_bf16_64, AsyncForward) { attend_async<BF16, 64>(p); }
KERNEL_OF(384, attention_wgmma_bf16_96, AsyncForward) { attend_async<BF16, 96>(p); }
KERNEL_OF(384, attention_wgmma_bf16_128, AsyncForward) { attend_async<BF16, 128>(p); }
