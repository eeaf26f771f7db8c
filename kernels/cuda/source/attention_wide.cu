// Attention of float32 queries over keys and values in bfloat16 on tensor cores. Queries
// and weights are three numbers of 8 bits each, which hold them whole: so each of the two
// products takes three, and results are as exact as by FMA, at a third of the rate of 16
// bits, which is near twice what FMA does at best. Of few rows, which are bound by memory,
// 384 mma for a tile take 630 of the 1,640 cycles that its bytes do.
#include "attention_divided.h"
#include "attention_forward.h"

KERNEL(attention_wide_64, Forward) { forward<BF16, 1, 64, 3>(p); }
KERNEL(attention_wide_128, Forward) { forward<BF16, 1, 128, 3>(p); }
KERNEL(attention_split_wide_128, Split) { split<BF16, 128, 3>(p); }
KERNEL(attention_split_wide_join, Split) { join<Powers>(p); }
