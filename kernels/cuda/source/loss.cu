// The loss of rows of logits, and what becomes of the logits: their gradients.
//
// A block reads a row twice and writes it once: 12 bytes a logit, 8 where its
// gradient is narrow and 4 for the loss alone, with 2 exponentials of about 15
// operations each, so that bytes rule: 0.4 logits a picosecond at 4.8 TB/s (H200).
#include "row.h"

struct Loss {
	float *loss;
	const void *targets; // of all rows, as loss and dy
	const float *dy;     // left out where the loss alone is wanted
	float *logits;       // [rows, classes], those from row first on
	void *dl;            // as logits, and may be they
	u32 *bad;            // the least row whose target is out of range
	u64 first, rows, classes;
	i64 ignore; // a target that counts nothing
	u32 target_type, type, quads;
	float smoothing, z_loss;
};

// Sum is of exp(y - top), of y, and its greatest.
struct Sum {
	float top, all, plain;
};

ALWAYS void take(Sum &s, const float *y, u32 n) {
	float most = y[0];
#pragma unroll
	for (u32 k = 1; k < n; k++) most = greater(y[k], most);
	if (most > s.top) s.all = s.all * exp_down(s.top - most), s.top = most;
#pragma unroll
	for (u32 k = 0; k < n; k++) s.all += exp_down(y[k] - s.top), s.plain += y[k];
}

// row_sum is what all threads of the block take of a row together.
ALWAYS Sum row_sum(const Loss &p, const float *y, float (*room)[MostWarps]) {
	Sum s = {-__builtin_inff(), 0.0f, 0.0f};
	if (p.quads) {
		for (u64 i = 4 * (u64)tid(); i < p.classes; i += 4 * (u64)threads()) {
			float v[4];
			load4(v, y, F32, i);
			take(s, v, 4);
		}
	} else {
		for (u64 i = tid(); i < p.classes; i += threads()) take(s, y + i, 1);
	}
	float top = team_most(s.top, threads(), room), sums[2] = {s.all > 0.0f || s.all != s.all ? s.all * exp_down(s.top - top) : 0.0f, s.plain};
	team_sums<2>(sums, threads(), room);
	return {top, sums[0], sums[1]};
}

// clear makes a row of gradients 0.
ALWAYS void clear(const Loss &p, u64 start) {
	for (u64 i = tid(); i < p.classes; i += threads()) store_float(p.dl, p.type, start + i, 0.0f);
}

// loss is, with z = ln(sum(exp(y))),
//
//	(1 - smoothing) (z - y[target]) + smoothing (z - mean(y)) + z_loss z²
//
// of each row, and if there is dy, its gradient by y times dy.
KERNEL_OF(512, loss, Loss) {
	SHARED float room[2][MostWarps];
	for (u64 r = block_x(); r < p.rows; r += blocks_x()) {
		u64 row = p.first + r, start = r * p.classes;
		i64 target = load_whole(p.targets, p.target_type, row);
		const float *y = p.logits + start;
		if (target == p.ignore || target < 0 || target >= (i64)p.classes) { // alike for the block
			if (tid() == 0) {
				p.loss[row] = 0.0f;
				if (target != p.ignore) least(p.bad, (u32)row);
			}
			if (p.dy) clear(p, start);
			continue;
		}
		float chosen = y[target];
		Sum s = row_sum(p, y, room);
		float more = log_of(s.all), z = s.top + more, kept = 1.0f - p.smoothing;
		if (tid() == 0) {
			float v = kept * (s.top - chosen + more);
			if (p.smoothing > 0.0f) v += p.smoothing * (s.top - s.plain / (float)p.classes + more);
			p.loss[row] = v + p.z_loss * z * z;
		}
		if (!p.dy) continue;
		float dy = p.dy[row], scale = dy * (1.0f + 2.0f * p.z_loss * z) / s.all, even = dy * p.smoothing / (float)p.classes;
		if (p.quads) {
			for (u64 i = 4 * (u64)tid(); i < p.classes; i += 4 * (u64)threads()) {
				float v[4];
				load4(v, y, F32, i);
#pragma unroll
				for (u32 k = 0; k < 4; k++) v[k] = exp_down(v[k] - s.top) * scale - even - (i + k == (u64)target ? dy * kept : 0.0f);
				store4(p.dl, p.type, start + i, v);
			}
		} else {
			for (u64 i = tid(); i < p.classes; i += threads())
				store_float(p.dl, p.type, start + i, exp_down(y[i] - s.top) * scale - even - (i == (u64)target ? dy * kept : 0.0f));
		}
	}
}
