// What goes on from one element of a sequence to the next: a block for each
// sequence, whose threads do what does not wait.
#include "number.h"

static constexpr u32 Together = 256;

struct WithinCapacity {
	i32 *y;
	const void *chosen; // [batch, seq, k]
	u32 *used;          // [batch, experts]
	u64 batch, seq, k, experts, room;
	u32 type;
};

// within_capacity puts -1 in place of choices that exceed the room of an expert. A
// choice has as many before it as were counted before its part, and those of its part.
KERNEL(within_capacity, WithinCapacity) {
	SHARED i64 part[Together];
	for (u64 b = block_x(); b < p.batch; b += blocks_x()) {
		u32 *used = p.used + b * p.experts;
		for (u64 e = tid(); e < p.experts; e += threads()) used[e] = 0;
		sync();
		for (u64 start = 0; start < p.seq * p.k; start += threads()) {
			u64 q = start + tid(), at = (b * p.seq + q % p.seq) * p.k + q / p.seq; // first choices first
			bool there = q < p.seq * p.k;
			i64 e = there ? load_whole(p.chosen, p.type, at) : -1;
			if (e >= (i64)p.experts) e = -1;
			part[tid()] = e;
			sync();
			u32 before = 0, behind = 0;
			for (u32 t = 0; t < threads(); t++)
				if (part[t] == e) t < tid() ? before++ : t > tid() ? behind++ : 0;
			u32 rank = e >= 0 ? used[e] + before + 1 : 0;
			sync();
			if (e >= 0 && behind == 0) used[e] = rank;
			if (there) p.y[at] = e >= 0 && rank <= p.room ? (i32)e : -1;
			sync();
		}
	}
}

struct MonotonicPath {
	i32 *y;
	const void *scores, *frame_counts, *place_counts; // [batch, frames, places]; counts may be left out
	double *sums;                                     // [batch, 2, places]
	u8 *entered;                                      // [batch, frames, places]
	u64 batch, frames, places;
	u32 type, frame_type, place_type;
};

DEV u64 count_of(const void *counts, u32 type, u64 b, u64 most) {
	if (!counts) return most;
	i64 n = load_whole(counts, type, b);
	return n < 0 ? 0 : (u64)n < most ? (u64)n : most;
}

// monotonic_path finds the best path of frames through places. The places of a
// frame are computed side by side, from the sums of the frame before.
KERNEL(monotonic_path, MonotonicPath) {
	for (u64 b = block_x(); b < p.batch; b += blocks_x()) {
		u64 frames = count_of(p.frame_counts, p.frame_type, b, p.frames), places = count_of(p.place_counts, p.place_type, b, p.places);
		i32 *y = p.y + b * p.frames;
		u8 *entered = p.entered + b * p.frames * p.places;
		double *sums = p.sums + b * 2 * p.places;
		if (frames < places || places == 0) {
			for (u64 i = tid(); i < p.frames; i += threads()) y[i] = places == 0 ? 0 : (i32)(i < places ? i : places - 1);
			continue;
		}
		for (u64 i = 0; i < frames; i++) {
			double *now = sums + (i & 1) * p.places, *past = sums + (1 - (i & 1)) * p.places;
			for (u64 j = tid(); j < places && j <= i; j += threads()) {
				double best = j < i ? past[j] : -__builtin_inf();
				bool enter = j > 0 && (j == i || best < past[j - 1]);
				if (enter) best = past[j - 1];
				entered[i * p.places + j] = enter;
				double s = (double)load_float(p.scores, p.type, (b * p.frames + i) * p.places + j);
				now[j] = i > 0 ? s + best : s;
			}
			sync();
		}
		if (tid() == 0) {
			u64 j = places - 1;
			for (u64 i = frames; i < p.frames; i++) y[i] = (i32)j;
			for (u64 i = frames; i-- > 0;) {
				y[i] = (i32)j;
				j -= entered[i * p.places + j];
			}
		}
		sync();
	}
}
