// Races in shared memory: two accesses of one place, one of which writes, by threads that did not wait for one
// another in between. Who has waited for whom is kept for each two warps, as the number of the last wait of one
// that the other has seen, itself or by others (a vector clock): a wait for a block or a barrier sees what others
// had done, and bar.warp.sync what the other threads of a warp had. A copy by cp.async writes from when it is asked
// for until it is waited for.
#include "ptx.h"
#include "queue.h"

#include <cstdio>
#include <map>
#include <set>

namespace emulator {

bool copies_unseen;

namespace {

const u32 unit = 2; // bytes of a place; single bytes are not looked at

struct Cell {
	u64 block = 0;    // when all this was
	u32 thread = 0;   // who wrote, from 1 on
	u32 clock = 0, line = 0;
	u32 readers = 0;  // warps that have read since
	bool atomic = false;
	u32 copying = 0;  // the thread that a copy is for which was not waited for, from 1 on
};

// Reading is when a warp last read, by which of its lanes, and where.
struct Reading {
	u32 clock = 0, line = 0;
	u8 lane = 0;
	bool several = false;
};

Cell cells[most_room / unit];
Reading readings[most_room / unit][32];
u64 blocks;
u32 seen[32][32]; // [who][of whom]
struct Clocks { u32 of[32]; };
std::map<u64, Clocks> barriers;

Cell &cell_at(u32 i) {
	Cell &c = cells[i];
	if (c.block != blocks) c = Cell(), c.block = blocks;
	return c;
}

void refuse(Warp &w, u32 lane, const char *what, u32 thread, u32 line, u32 at) {
	static std::set<const Body *> known;
	if (setting("report") && !known.insert(w.body).second) return;
	fprintf(stderr, "emulator: thread %u %s thread %u (at place %u of shared memory), and did not wait for: %s\n", w.first + lane, what, thread, at, w.body->lines[line].c_str());
	if (!setting("report")) throw Fault{"a race in shared memory"};
	fprintf(stderr, "emulator: kernel %s: a race in shared memory\n", w.body->name.c_str());
}

// ordered says whether w has waited for what warp v did at that time.
bool ordered(const Warp &w, u32 v, u32 clock) { return v == w.index ? clock < seen[v][v] : clock <= seen[w.index][v]; }

void read(Warp &w, Cell &c, Reading &r, u32 lane, u32 line) {
	u32 now = seen[w.index][w.index];
	bool had = c.readers >> w.index & 1;
	c.readers |= 1u << w.index;
	if (had && r.clock == now) r.several |= r.lane != lane;
	else r.several = false, r.clock = now;
	r.lane = (u8)lane, r.line = line;
}

} // namespace

void race_begin(u32 warps) {
	blocks++;
	barriers.clear();
	for (u32 i = 0; i < warps; i++)
		for (u32 j = 0; j < warps; j++) seen[i][j] = i == j;
}

void race_access(Warp &w, u32 lane, u32 at, u32 n, Access how) {
	if (n < unit || gave_up) return;
	bool writes = how != Access::Read, atomic = how == Access::Atomic;
	u32 me = w.first + lane + 1, line = w.body->code[w.now.pc].line;
	for (u32 i = at / unit; i < (at + n) / unit; i++) {
		Cell &c = cell_at(i);
		if (c.copying) refuse(w, lane, "is where cp.async copies for", c.copying - 1, c.line, at);
		if (c.thread && c.thread != me && !(atomic && c.atomic) && !ordered(w, (c.thread - 1) / 32, c.clock)) refuse(w, lane, writes ? "writes over what was written by" : "reads what was written by", c.thread - 1, c.line, at);
		if (!writes) {
			read(w, c, readings[i][w.index], lane, line);
			continue;
		}
		LANES(c.readers, v) {
			const Reading &r = readings[i][v];
			bool mine = v == w.index && !r.several && r.lane == lane;
			if (!mine && !ordered(w, v, r.clock)) refuse(w, lane, "writes over what is read by", 32 * v + r.lane, r.line, at);
		}
		c.readers = 0, c.thread = me, c.atomic = atomic, c.clock = seen[w.index][w.index], c.line = line;
	}
}

void race_copy(Warp &w, u32 lane, u32 at, u32 n, bool arrives) {
	if (!arrives) race_access(w, lane, at, n, Access::Write);
	for (u32 i = at / unit; i < (at + n) / unit; i++) {
		Cell &c = cell_at(i);
		if (arrives && copies_unseen) continue;
		c.copying = arrives ? 0 : w.first + lane + 1;
		if (arrives) c.clock = seen[w.index][w.index];
	}
}

void race_warp(Warp &w) { seen[w.index][w.index]++; }

void race_block(u32 warps) {
	u32 most[32] = {};
	for (u32 i = 0; i < warps; i++)
		for (u32 j = 0; j < warps; j++) most[j] = std::max(most[j], seen[i][j]);
	for (u32 i = 0; i < warps; i++)
		for (u32 j = 0; j < warps; j++) seen[i][j] = most[j] + (i == j);
}

void race_arrive(Warp &w, u64 barrier) {
	Clocks &b = barriers[barrier];
	for (u32 j = 0; j < 32; j++) b.of[j] = std::max(b.of[j], seen[w.index][j]);
	seen[w.index][w.index]++;
}

void race_passed(Warp &w, u64 barrier) {
	const Clocks &b = barriers[barrier];
	for (u32 j = 0; j < 32; j++)
		if (j != w.index) seen[w.index][j] = std::max(seen[w.index][j], b.of[j]);
}

} // namespace emulator
