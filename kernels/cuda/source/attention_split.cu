// Attention of few rows on tensor cores, of one type of 16 bits.
#include "attention_divided.h"

KERNEL(attention_split_bf16_128, Split) { split<BF16, 128>(p); }
KERNEL(attention_split_bf16_256, Split) { split<BF16, 256>(p); }
KERNEL(attention_split_f16_128, Split) { split<F16, 128>(p); }
KERNEL(attention_split_f16_256, Split) { split<F16, 256>(p); }

KERNEL(attention_split_join, Split) { join<Powers>(p); }
