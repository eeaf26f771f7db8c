// Attention of many rows on tensor cores, of one type of 16 bits.
#include "attention_forward.h"

KERNEL(attention_bf16_64, Forward) { forward<BF16, 2, 64>(p); }
KERNEL(attention_bf16_128, Forward) { forward<BF16, 2, 128>(p); }
KERNEL(attention_bf16_256, Forward) { forward<BF16, 1, 256>(p); }
KERNEL(attention_f16_64, Forward) { forward<F16, 2, 64>(p); }
KERNEL(attention_f16_128, Forward) { forward<F16, 2, 128>(p); }
KERNEL(attention_f16_256, Forward) { forward<F16, 1, 256>(p); }
