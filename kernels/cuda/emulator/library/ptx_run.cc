// Warps of PTX, which take turns. Threads of a warp that are at different places go one group after the
// other, the one that is furthest behind first, until they meet.
#include "ptx.h"
#include "queue.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator {

u64 events;

namespace {

std::vector<Warp> warps;
u32 size;   // threads of a block

u32 all_of(const Warp &w) {
	u32 n = size - w.first;
	return n >= 32 ? ~0u : (1u << n) - 1;
}

// choose takes the group of threads to go on with; false if there is none. Who asks goes after others, for whom it may wait.
bool choose(Warp &w) {
	if (w.now.mask) w.others.push_back(w.now);
	auto &g = w.others;
	for (size_t i = 0; i < g.size(); i++) // who is at one place goes on together
		for (size_t j = g.size() - 1; j > i; j--)
			if (g[i].pc == g[j].pc) g[i].mask |= g[j].mask, g[i].held = false, g[i].asking &= g[j].asking, g.erase(g.begin() + j);
	auto least = g.end();
	for (auto i = g.begin(); i != g.end(); i++)
		if (!i->held && !i->asking && (least == g.end() || i->pc < least->pc)) least = i;
	if (least == g.end()) return w.now = {}, false;
	w.now = *least;
	g.erase(least);
	return true;
}

void branch(Warp &w, const Op &o) {
	Group &g = w.now;
	u32 taken = w.active, rest = g.mask & ~taken;
	if (!taken) {
		g.pc++;
	} else if (!rest) {
		g.pc = o.target;
	} else {
		w.others.push_back({taken, o.target});
		g.mask = rest, g.pc++;
	}
}

void end(Warp &w) {
	LANES(w.active, i) {
		be(w.first + i);
		if (async_left()) throw Fault{"a thread ends, and has wgmma that it never waited for"};
	}
	w.live &= ~w.active, w.now.mask &= ~w.active, w.now.pc++, events++;
}

// go runs a warp until it waits for others or has ended.
void go(Warp &w) {
	const Op *code = w.body->code.data();
	for (;;) {
		Group &g = w.now;
		if ((!g.mask || g.held || g.asking || !w.others.empty()) && !choose(w)) {
			bool asks = false;
			for (auto &o : w.others) asks |= o.asking, o.asking = false;
			if (asks) {
				w.state = Warp::Asking;
				return;
			}
			if (w.live) throw Fault{"not all threads of a warp are at the same mma or ldmatrix"};
			w.state = Warp::Done;
			return;
		}
		const Op &o = code[g.pc];
		w.active = g.mask;
		if (o.guarded) w.active &= o.unless ? ~*(u32 *)(w.file + o.guard) : *(u32 *)(w.file + o.guard);
		if (profile) profile->instructions++, profile->lanes += __builtin_popcount(w.active);
		switch (o.turn) {
		case Turn::Plain:
			if (w.active) o.run(w, o);
			g.pc++;
			break;
		case Turn::Branch: branch(w, o); break;
		case Turn::Exit: w.active ? end(w) : (void)g.pc++; break;
		case Turn::Together:
		case Turn::Block:
			if (g.mask != w.live || w.active != g.mask) { // others come yet
				g.held = true;
				break;
			}
			if (o.turn == Turn::Block) {
				w.state = Warp::AtBlock, w.unseen = o.unseen, g.pc++, events++;
				return;
			}
			if (w.live != ~0u && w.live != all_of(w)) throw Fault{"not all threads of a warp are at the same mma or ldmatrix"};
			o.run(w, o);
			g.pc++;
			break;
		case Turn::Ask:
			w.asked = true;
			if (w.active) o.run(w, o);
			g.pc++;
			w.asked ? (void)events++ : (void)(g.asking = true);
			break;
		}
	}
}

void explain(const Warp &w, const Fault &f) {
	const Body &b = *w.body;
	u32 pc = w.now.pc < b.code.size() ? w.now.pc : 0;
	fprintf(stderr, "emulator: %s: block %u %u %u, warp %u, threads %08x, at: %s\n", f.why, block.x, block.y, block.z, w.index, w.active, b.lines[b.code[pc].line].c_str());
	if (getenv("PIPE_EMULATOR_TRACE"))
		for (u32 i = pc > 12 ? pc - 12 : 0; i < pc; i++) fprintf(stderr, "emulator:   %s\n", b.lines[b.code[i].line].c_str());
}

void begin_warp(Warp &w, u32 shared_begins) {
	w.live = all_of(w), w.now = {w.live, 0}, w.others.clear(), w.state = Warp::Ready;
	const Dim3 d[] = {block_size, block, grid_size};
	for (u32 i = 0; i < 32; i++) {
		u32 t = w.first + i;
		Dim3 me = {t % block_size.x, t / block_size.x % block_size.y, t / block_size.x / block_size.y};
		auto set = [&](u32 which, u32 v) {
			if (w.body->special[which]) ((u32 *)(w.file + w.body->special[which]))[i] = v;
		};
		set(TidX, me.x), set(TidY, me.y), set(TidZ, me.z), set(Lane, i);
		for (u32 k = 0; k < 3; k++) set(NtidX + 3 * k, d[k].x), set(NtidY + 3 * k, d[k].y), set(NtidZ + 3 * k, d[k].z);
		for (auto &f : w.body->fixed) {
			u64 v = f.after_shared ? shared_begins + f.value : f.value;
			memcpy(w.file + f.place.at + i * f.place.size, &v, f.place.size);
		}
	}
}

void run_block(u32 shared_begins) {
	fresh_block(size);
	race_begin((u32)warps.size());
	for (auto &w : warps) begin_warp(w, shared_begins);
	for (u32 idle = 0;;) {
		u64 before = events;
		u32 done = 0, waiting = 0, count = (u32)warps.size();
		for (u32 i = 0; i < count; i++) {
			Warp &w = warps[backward ? count - 1 - i : i];
			if (w.state == Warp::Asking) w.state = Warp::Ready;
			if (w.state == Warp::Ready) try {
					go(w);
				} catch (const Fault &f) {
					explain(w, f);
					throw;
				}
			done += w.state == Warp::Done, waiting += w.state == Warp::AtBlock && w.live == all_of(w);
		}
		if (done == count) return;
		if (waiting == count) {
			if (!warps[0].unseen) race_block(count);
			for (auto &w : warps) w.state = Warp::Ready;
			continue;
		}
		if (events != before) {
			idle = 0;
			continue;
		}
		gave_up = true, clock_now += 1000000000; // who waits for a time only
		if (++idle > 16) throw Fault{"threads of a block wait for ever"};
	}
}

} // namespace

void product_reads(u32 thread, u32 at) { race_access(warps[thread / 32], thread % 32, at, 2, Access::Read); }

void copy_landed(u32 thread, u32 at, u32 n) { race_copy(warps[thread / 32], thread % 32, at, n, true); }

bool run_text(const Body &k, const void *args, Dim3 grid, Dim3 threads, u32 shared) {
	static std::vector<u64> files, locals;
	grid_size = grid, block_size = threads, size = threads.x * threads.y * threads.z;
	u32 begins = (k.shared + k.dynamic_align - 1) / k.dynamic_align * k.dynamic_align, count = (size + 31) / 32;
	room_bytes = shared ? begins + shared : k.shared;
	warps.assign(count, Warp());
	if (files.size() < count * (k.file / 8ull) + 8) files.resize(count * (k.file / 8ull) + 8);
	locals.assign(size * (k.local + 7ull) / 8 + 32, ~0ull);
	memset(files.data(), 0xff, files.size() * 8);
	for (u32 i = 0; i < count; i++) {
		Warp &w = warps[i];
		w.body = &k, w.args = args, w.first = 32 * i, w.index = i;
		w.file = (u8 *)(((u64)files.data() + 63) & ~63ull) + (u64)i * k.file;
		w.local = (u8 *)locals.data() + 32ull * i * k.local;
	}
	u64 all = (u64)grid.x * grid.y * grid.z;
	by_warps = true;
	blocks_begin();
	u64 some = setting("profile"), step = some && all > some ? all / some : 1; // blocks that stand for all
	if (some) profile_kernel(k.name, all, (all + step - 1) / step);
	try {
		for (u64 i = 0; i < all; i += step) {
			u64 b = backward ? all - 1 - i : i;
			block = {(u32)(b % grid.x), (u32)(b / grid.x % grid.y), (u32)(b / grid.x / grid.y)};
			blocks_next((u32)b);
			run_block(room_begins + begins);
		}
	} catch (const Fault &f) {
		why = f.why;
		by_warps = false;
		return false;
	}
	by_warps = false;
	return true;
}

} // namespace emulator
