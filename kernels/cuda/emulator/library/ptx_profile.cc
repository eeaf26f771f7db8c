// What the memory of a device would have to do for kernels: of the device's memory sectors of 32 bytes that a warp touches,
// of shared memory how often its 32 banks of 4 bytes must be asked. Beside each stands the least that could be.
#include "ptx.h"

#include <algorithm>
#include <map>

namespace emulator {

Counts *profile; // of the kernel that runs, if its counts are wanted

namespace {

std::map<std::string, Counts> kernels;

// distinct is how many different numbers there are.
u32 distinct(u64 *v, u32 n) {
	std::sort(v, v + n);
	return (u32)(std::unique(v, v + n) - v);
}

void device_memory(const u64 *at, u32 lanes, u32 n) {
	u64 sectors[64], pieces[32];
	u32 s = 0, p = 0;
	LANES(lanes, i) {
		sectors[s++] = at[i] / 32, sectors[s++] = (at[i] + n - 1) / 32;
		pieces[p++] = at[i];
	}
	profile->sectors += distinct(sectors, s);
	profile->sectors_least += (distinct(pieces, p) * n + 31) / 32;
}

// shared_memory goes by as many lanes at a time as have 128 bytes in all.
void shared_memory(const u64 *at, u32 lanes, u32 n) {
	u32 each = std::min(32u, 128 / n);
	for (u32 first = 0; first < 32; first += each) {
		u64 words[128];
		u32 count = 0, banks[32] = {};
		LANES(lanes & (each == 32 ? ~0u : (1u << each) - 1) << first, i)
			for (u32 k = 0; k < std::max(n / 4, 1u); k++) words[count++] = at[i] / 4 + k;
		if (!count) continue;
		count = distinct(words, count);
		for (u32 i = 0; i < count; i++) banks[words[i] % 32]++;
		profile->waves += *std::max_element(banks, banks + 32), profile->waves_least++;
	}
}

} // namespace

void profile_memory(const u64 *at, u32 lanes, u32 n) {
	u32 any = __builtin_ctz(lanes);
	if (at[any] >= (u64)room && at[any] < (u64)room + most_room) shared_memory(at, lanes, n);
	else device_memory(at, lanes, n);
}

void profile_kernel(const std::string &name, u64 blocks, u64 run) {
	profile = &kernels[name];
	profile->blocks += blocks, profile->run += run;
}

const char *profile_text() {
	static std::string text;
	text.clear();
	for (auto &[name, c] : kernels) {
		text += name;
		for (u64 v : {c.blocks, c.run, c.instructions, c.lanes, c.sectors, c.sectors_least, c.waves, c.waves_least}) text += " " + std::to_string(v);
		text += "\n";
	}
	kernels.clear(), profile = nullptr;
	return text.c_str();
}

} // namespace emulator
