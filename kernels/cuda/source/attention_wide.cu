// Attention of float32 queries over keys and values of 16 bits on tensor cores. Over
// bfloat16, queries and weights are three numbers of 8 bits each, which hold them whole:
// so each of the two products takes three, at a third of the rate of 16 bits. Over
// float16 they are two of 11 bits, queries as multiples of a unit of their line: what is
// left out is below 2^-22 of the greatest element of a query, and 2^-25 of a weight. Both
// are near what FMA gives, and two to three times as fast as that at best. Of few rows,
// which are bound by memory, 384 mma for a tile take 630 of the 1,640 cycles that its
// bytes do.
#include "attention_divided.h"
#include "attention_forward.h"

KERNEL(attention_wide_bf16_64, Forward) { forward<BF16, 1, 64, 3>(p); }
KERNEL(attention_wide_bf16_128, Forward) { forward<BF16, 1, 128, 3>(p); }
KERNEL(attention_split_wide_bf16_128, Split) { split<BF16, 128, 3>(p); }
KERNEL(attention_wide_f16_64, Forward) { forward<F16, 1, 64, 2>(p); }
KERNEL(attention_wide_f16_128, Forward) { forward<F16, 1, 128, 2>(p); }
KERNEL(attention_split_wide_f16_128, Split) { split<F16, 128, 2>(p); }
KERNEL(attention_split_wide_join, Split) { join<Powers>(p); }
