// What the gradients of experts' weights are asked for.
#pragma once
#include "number.h"

// ExpertGrad is the gradient of experts' weights: the sum of dy xᵀ over the rows of each, which lie
// in rows from starts on.
struct ExpertGrad {
	float *y;        // [experts, out, in]
	const void *dy, *x; // [m / dy_share, out], [m / x_share, in]
	const i32 *starts, *rows;
	u64 experts, out, in, dy_share, x_share;
	u32 dy_type, x_type;
};
