// Blocks of a kernel do not wait for one another: what one writes in the memory of the device no other may read or
// write before the kernel has ended, but by atomics.
#include "ptx.h"

#include <cstdio>
#include <map>
#include <vector>

namespace emulator {

namespace {

const u32 unit = 2;             // bytes of a place; single bytes are not looked at
const u64 most = 64ull << 20;   // bytes of an allocation that is looked at

struct Spot {
	u32 launch = 0, writer = 0, reader = 0; // blocks, from 1 on
};
const u32 several = ~0u;

struct Memory {
	u64 low = 0, era = 0;
	std::vector<Spot> places;
};

std::map<u64, Memory> memories;
Memory *last;
u32 launch, block_now;

Memory *memory_of(u64 p) {
	u64 low, high;
	if (last && last->era == era && p >= last->low && p < last->low + last->places.size() * unit) return last;
	if (!allocation(p, 1, low, high) || high - low > most) return nullptr;
	Memory &m = memories[low];
	if (m.places.size() != (high - low) / unit) m.places.assign((high - low) / unit, Spot());
	m.low = low, m.era = era;
	return last = &m;
}

void refuse(Warp &w, u32 lane, const char *what, u32 other) {
	fprintf(stderr, "emulator: thread %u of block %u %s block %u, for which nobody waits\n", w.first + lane, block_now - 1, what, other - 1);
	throw Fault{"a race of blocks"};
}

} // namespace

void blocks_begin() {
	launch++;
	if (memories.size() > 256) memories.clear(), last = nullptr;
}

void blocks_next(u32 number) { block_now = number + 1; }

void blocks_access(Warp &w, u32 lane, u64 p, u32 n, Access how) {
	Memory *m = n < unit || how == Access::Atomic || gave_up ? nullptr : memory_of(p);
	if (!m) return;
	for (u64 i = (p - m->low) / unit, end = (p + n - m->low) / unit; i < end && i < m->places.size(); i++) {
		Spot &c = m->places[i];
		if (c.launch != launch) c = Spot(), c.launch = launch;
		if (c.writer && c.writer != block_now) refuse(w, lane, how == Access::Read ? "reads what was written by" : "writes over what was written by", c.writer);
		if (how == Access::Read) {
			c.reader = c.reader && c.reader != block_now ? several : block_now;
			continue;
		}
		if (c.reader && c.reader != block_now) refuse(w, lane, "writes over what is read by", c.reader == several ? 1 : c.reader);
		c.writer = block_now;
	}
}

} // namespace emulator
