// Products by wgmma, and what they take: descriptors, barriers and fences, as the PTX
// ISA says in "Asynchronous Warpgroup Level Matrix Multiply-Accumulate Instructions"
// and "mbarrier". Each thread computes the sums that it has, when it waits for
// them, so that who does not wait reads old ones and who gives shared memory back
// too early spoils them; or at once, by the setting eager=1.
//
// Refused is what can be seen to be undefined: threads that do not call the same,
// operands outside of shared memory, patterns that begin where they can't, wgmma
// without wgmma.fence since registers were waited for, operands that cp.async
// wrote and no fence.proxy.async followed, a barrier that is none, registers of an
// operand that change before they are waited for, and products that nobody waits for.
#include "queue.h"

#include <cstring>
#include <utility>
#include <vector>

namespace emulator {

namespace {

// Kept is a product that has begun: of an operand in registers, words of the thread, and
// the two rows of its sums.
struct Kept : AsyncProduct {
	u32 words[4];
	float rows[2][16];
};

struct Thread {
	std::vector<Kept> products;
	std::vector<u64> sets;    // of each product: which set it is of
	u64 set = 0, issued = 0;  // sets and products so far
	bool fenced = false;
	std::vector<u32> written; // pieces of 16 bytes that no fence followed
};

struct Issued {
	u64 a, b;
	u32 how;
};

std::vector<Thread> all;
std::vector<std::vector<Issued>> groups; // what each group of 128 threads issued
u16 writer[most_room / 16];              // of what no fence followed: the thread, from 1 on
const u64 magic = 0x6d62ull << 48;       // of barriers
bool touched;                            // since begin_async

// Descriptor is what its 64 bits say, in bytes.
struct Descriptor {
	u32 start, leading, stride, base, swizzle;
	explicit Descriptor(u64 d) : start((d & 0x3fff) << 4), leading((d >> 16 & 0x3fff) << 4), stride((d >> 32 & 0x3fff) << 4), base(d >> 49 & 7), swizzle(d >> 62) {}

	// place is where element k of row mn lies, of 16 bits: the canonical layouts of
	// the ISA with T = 8, ((T,w,m),(8,k)) or ((8,m),(T,2k)), and their swizzle of w
	// pieces of 16 bytes.
	u32 place(bool transposed, u32 mn, u32 k) const {
		u32 w = swizzle ? 16 >> swizzle : 1, at;
		if (!swizzle)
			at = transposed ? mn % 8 * 2 + mn / 8 * stride + k % 8 * 16 + k / 8 * leading : mn % 8 * 16 + mn / 8 * stride + k % 8 * 2 + k / 8 * leading;
		else if (transposed)
			at = mn % 8 * 2 + mn / 8 % w * 16 + mn / (8 * w) * leading + k % 8 * w * 16 + k / 8 * stride;
		else
			at = mn % 8 * w * 16 + mn / 8 * stride + k * 2;
		at += start;
		return at ^ (at >> 3 & 16 * (w - 1));
	}

	const char *wrong() const {
		u32 pattern = swizzle ? 128 * (16 >> swizzle) : 16;
		if (base) return "a descriptor with a base offset, which the emulator does not know";
		if (stride % pattern) return "a descriptor whose stride is no multiple of its pattern";
		return nullptr;
	}
};

// element reads 16 bits of an operand.
u16 element(const Descriptor &d, bool transposed, u32 mn, u32 k, bool noted) {
	u32 at = d.place(transposed, mn, k) - room_begins;
	if (at + 2 > room_bytes) stray("wgmma reads beyond the shared memory of the launch");
	if (writer[at / 16] && !gave_up) stray("wgmma reads what cp.async wrote, and no fence.proxy.async came between");
	if (by_warps && noted) product_reads(thread.x, at);
	return *(const u16 *)(room + at);
}

// compute adds up the sums that the thread has of a product, from the lowest k to the highest.
void compute(const Kept &p) {
	Descriptor a(p.a), b(p.b);
	u64 fault = setting("wgmma_fault");
	if (fault == 1) std::swap(b.leading, b.stride), gave_up = true; // it reads what may be anybody's
	u32 me = thread.x % 128, g = me % 32 / 4 + me / 32 * 16, t = me % 4;
	float left[2][16];
	for (u32 i = 0; p.held && i < 4; i++)
		if (p.word(i, 0) != p.words[i]) stray("registers of an operand of wgmma change before it is waited for");
	for (u32 i = 0; i < 32; i++) left[i / 16][i % 16] = p.held ? p.rows[i / 16][i % 16] : p.value(element(a, p.a_transposed, g + i / 16 * 8, i % 16, true));
	for (u32 j = 0; j < p.n / 4; j++) {
		u32 at = j / 2 * 4 + j % 2;
		float low = p.keep ? p.at(at) : 0.0f, high = p.keep ? p.at(at + 2) : 0.0f;
		for (u32 k = 0; k < 16; k++) {
			float right = p.value(element(b, p.b_transposed, j / 2 * 8 + 2 * t + j % 2, k, me % 32 < 4));
			low = __builtin_fmaf(left[0][k], right, low), high = __builtin_fmaf(left[1][k], right, high);
		}
		if (fault == 3 && j == 5) low += 1.0f;
		if (fault == 5 && thread.x / 128 == 1) low += low * 0x1p-23f * (low * 4096 != __builtin_rintf(low * 4096));
		if (fault == 4 && p.n == 64) high += high * 0x1p-23f * (high != __builtin_rintf(high));
		p.at(at) = low, p.at(at + 2) = high;
	}
}

// gather brings the rows of an operand in registers: of row 16 w + g the four threads 4 g on of warp w
// have pairs of k, from 2 t and 2 t + 8, and next to each those of row g + 8.
void gather(Kept &p) {
	const u32 words[6] = {p.word(0, 0), p.word(1, 0), p.word(2, 0), p.word(3, 0)}, first = thread.x % 32 / 4 * 4;
	memcpy(p.words, words, sizeof p.words);
	const Post *row = by_warps ? nullptr : meet(WgmmaHeld, words) + first;
	for (u32 h = 0; h < 2; h++)
		for (u32 k = 0; k < 16; k++) {
			u32 lane = k % 8 / 2, which = k / 8 * 2 + h, word = row ? row[lane].words[which] : p.word(which, (i32)(first + lane) - (i32)(thread.x % 32));
			p.rows[h][k] = p.value((u16)(word >> k % 2 * 16));
		}
}

// same has all threads of a warp call what, with the same words.
void same(u32 what, const u32 (&words)[6]) {
	if (by_warps) return;
	const Post *posts = meet(what, words);
	for (u32 i = 0; i < 6; i++)
		if (posts[(thread.x + 1) % 32].words[i] != words[i]) stray("threads of a warp call wgmma with different operands");
}

void together(u32 what) { touched = true, same(what, {}); }

} // namespace

void begin_async(u32 threads) {
	if (!touched && all.size() == threads) return;
	touched = false;
	all.assign(threads, Thread());
	groups.assign((threads + 127) / 128, {});
	for (u16 &w : writer) w = 0;
}

bool async_left() { return !all[thread.x].products.empty(); }

void product_later(const AsyncProduct &product) {
	touched = true;
	Kept p = {product, {}, {}};
	Thread &me = all[thread.x];
	u32 how = p.n | p.a_transposed << 16 | p.b_transposed << 17 | p.keep << 18 | (p.held != nullptr) << 19;
	same(Wgmma, {(u32)p.a, (u32)(p.a >> 32), (u32)p.b, (u32)(p.b >> 32), how});
	auto &issued = groups[thread.x / 128];
	if (me.issued == issued.size()) issued.push_back({p.a, p.b, how});
	const Issued &first = issued[me.issued++];
	if (first.a != p.a || first.b != p.b || first.how != how) stray("the warps of a group call different wgmma");
	if (!me.fenced) stray("wgmma without wgmma.fence since its registers were waited for");
	for (u64 d : {p.held ? p.b : p.a, p.b})
		if (const char *wrong = Descriptor(d).wrong()) stray(wrong);
	if (p.held) gather(p);
	if (eager) return compute(p);
	me.products.push_back(p), me.sets.push_back(me.set);
}

void fence_products() { together(WgmmaFence), all[thread.x].fenced = true; }
void commit_products() { together(WgmmaCommit), all[thread.x].set++; }

void wait_products(u32 left) {
	together(WgmmaWait);
	Thread &me = all[thread.x];
	size_t done = 0;
	for (; done < me.products.size() && me.sets[done] + left < me.set; done++) compute(me.products[done]);
	me.products.erase(me.products.begin(), me.products.begin() + done);
	me.sets.erase(me.sets.begin(), me.sets.begin() + done);
	me.fenced = false;
}

void wrote_shared(const void *to, u32 bytes) {
	u64 from = (const u8 *)to - room;
	if (from + bytes > most_room || all.empty()) return;
	touched = true;
	for (u64 i = from / 16; i <= (from + bytes - 1) / 16; i++)
		if (writer[i] != thread.x + 1) writer[i] = thread.x + 1, all[thread.x].written.push_back(i);
}

void fence_async() {
	Thread &me = all[thread.x];
	for (u32 i : me.written)
		if (writer[i] == thread.x + 1) writer[i] = 0;
	me.written.clear();
}

// A barrier has 16 bits of magic, a bit of the phase, and how many arrive and are missing.
void make_barrier(u64 *b, u32 count) {
	if ((u64)b % 8 || !count || count >= 1 << 16) stray("mbarrier.init of a place or a count that can't be");
	*b = magic | (u64)count << 16 | count;
}

void check_barrier(const u64 *b) {
	if (*b >> 48 != magic >> 48) stray("a barrier that mbarrier.init did not make");
}

void arrive(u64 *b) {
	check_barrier(b);
	if (setting("wgmma_fault") == 2 && thread.x % 128 == 96) return;
	u64 count = *b >> 16 & 0xffff;
	if (--*b & 0xffff) return;
	*b = (*b ^ 1ull << 32) | count;
}

bool barrier_passed(const u64 *b, u32 parity) { return (*b >> 32 & 1) != parity; }

void wait_barrier(u64 *b, u32 parity, u32 *late) {
	check_barrier(b);
	while (!barrier_passed(b, parity) && !(late && *late)) wait_gate(b, parity, late);
}

void set_registers(u32 n) {
	if (n % 8 || n < 24 || n > 256) stray("setmaxnreg of a number that can't be");
	together(SetRegisters);
}

} // namespace emulator
