// A libcuda for tests: the memory of the device is the host's, and kernels are
// those that g++ compiled. Work of a stream is kept until somebody waits for
// it, so that who forgets to wait reads what is not there yet; errors of
// kernels come then, too, and stay. A call on a thread without a context
// fails, and so does a copy that leaves its allocation.
#include "ptx.h"
#include "queue.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include <sys/mman.h>

namespace emulator {

static Entry *entries;
Entry::Entry(const char *n, Kernel r, u64 b) : name(n), run(r), bytes(b), next(entries) { entries = this; }

enum Code { Success = 0, Invalid = 1, OutOfMemory = 2, NoDevice = 100, InvalidDevice = 101, BadPTX = 218, NoContext = 201, InvalidHandle = 400, NotFound = 500, Illegal = 700, LaunchFailed = 719, Unsupported = 900, Invalidated = 901 };

// settings are what a test can have otherwise: PIPE_EMULATOR=name=number,...
static std::map<std::string, u64> settings = {{"devices", 1}, {"version", 12040}, {"capability", 80}, {"memory", 1ull << 34}, {"lose", ~0ull}, {"lose_copies", ~0ull}};

static void set(const char *text) {
	for (std::string all = text; !all.empty();) {
		size_t end = all.find(','), is = all.find('=');
		if (is != std::string::npos) settings[all.substr(0, is)] = strtoull(all.c_str() + is + 1, nullptr, 10);
		all = end == std::string::npos ? "" : all.substr(end + 1);
	}
	eager = settings["eager"], backward = settings["backward"];
}

struct Read {
	Read() {
		if (const char *text = getenv("PIPE_EMULATOR")) set(text);
	}
} static read_environment;

typedef std::function<int()> Work;

struct Stream {
	std::vector<Work> queue;
	u64 put = 0, done = 0;
};

struct Event {
	Stream *stream = nullptr;
	u64 at = 0;
	std::chrono::steady_clock::time_point time;
};

struct Module {
	std::string ptx;
	const Text *text = nullptr; // of kernels that run as PTX
	u64 held = 0;         // bytes of the device's memory, as the setting "code" has them
};

struct Function {
	Entry *entry;
	const Body *body = nullptr;
	u64 room = 48 << 10; // that a launch may ask for
	u64 bytes() const { return entry ? entry->bytes : body->bytes; }
	u32 most_threads() const { return entry ? 1024 : body->most_threads; }
	u32 shared() const { return entry ? 0 : body->shared; }
};

struct Graph {
	std::vector<Work> work;
	u64 held = 0; // bytes of the device's memory, for each work as the setting "graph" has them
};

// shared_most is the shared memory that a block may have, bytes.
static u32 shared_most() { return (settings["capability"] >= 90 ? 227 : 163) << 10; }

static std::recursive_mutex lock;
static thread_local bool current;
static int fault; // sticky
static u64 launches, copies, used;
static std::map<u64, u64> allocations; // address to bytes
static Stream *capturing;
static Graph *captured;
static bool spoiled; // who records has waited
static std::map<std::string, u64> counts; // see emulator.Count

u64 era;

bool allocation(u64 p, u64 n, u64 &low, u64 &high) {
	auto i = allocations.upper_bound(p);
	if (i == allocations.begin()) return false;
	--i, low = i->first, high = i->first + i->second;
	return p + n <= high;
}

bool inside(u64 p, u64 n) {
	u64 low, high;
	return allocation(p, n, low, high);
}

// A wait for a stream that is recorded ends the recording.
static int waits(Stream *s) { return s == capturing ? (spoiled = true, (int)Unsupported) : (int)Success; }

static int drain(Stream *s, u64 until) {
	while (s->done < until && !fault) {
		Work w = std::move(s->queue.front());
		s->queue.erase(s->queue.begin());
		s->done++;
		fault = w();
	}
	return fault;
}

static int put(Stream *s, Work w) {
	if (fault) return fault;
	if (s == capturing) {
		captured->work.push_back(std::move(w));
		return Success;
	}
	s->queue.push_back(std::move(w));
	s->put++;
	return s->queue.size() > 256 ? drain(s, s->put) : Success;
}

// charge takes memory that no call asked for.
static bool charge(u64 n, u64 &held) {
	if (n > settings["memory"] - used) return false;
	return used += held = n, true;
}

static std::vector<Stream *> streams;

static int drain_all() {
	for (Stream *s : streams) drain(s, s->put);
	return fault;
}

Guard::Guard() { lock.lock(); }
Guard::~Guard() { lock.unlock(); }
bool entered() { return current && !fault; }
bool reachable(u64 p, u64 n) { return inside(p, n); }
int enqueue(void *stream, Work w) { return put((Stream *)stream, std::move(w)); }
u64 setting(const char *name) { return settings.count(name) ? settings[name] : 0; }
void count(const char *what) { counts[what]++; }

static int copy(void *to, const void *from, u64 n) {
	if (copies++ >= settings["lose_copies"]) return Illegal;
	memcpy(to, from, n);
	return Success;
}

// Large device memory is shared memory, of which the system tells how much of a process it is.
static const u64 large = 1 << 16, page = 4096;

//
// By the setting guard=1 all of it ends where memory ends that nobody may read, so that who goes too far is stopped.
static void *device_memory(u64 n) {
	if (settings["guard"]) {
		u64 room = (n + page - 1) / page * page;
		u8 *p = (u8 *)mmap(nullptr, room + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED || mprotect(p + room, page, PROT_NONE)) return nullptr;
		return p + room - (n + 15) / 16 * 16;
	}
	if (n < large) return aligned_alloc(512, (n + 511) / 512 * 512);
	void *p = mmap(nullptr, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? nullptr : p;
}

} // namespace emulator

using namespace emulator;

#define ENTER                                          \
	std::lock_guard<std::recursive_mutex> guard(lock); \
	if (!current) return NoContext;                    \
	if (fault) return fault

extern "C" {

// emulator_set changes settings, and forgets a fault and what was not done because of it.
void emulator_set(const char *text) {
	for (Stream *s : streams)
		if (fault) s->queue.clear(), s->done = s->put;
	fault = 0, launches = copies = 0, counts["peak"] = used;
	set(text);
}

// emulator_count says how often there was a call that launches a kernel, launches
// a graph or waits for a stream.
u64 emulator_count(const char *what) {
	std::lock_guard<std::recursive_mutex> guard(lock);
	return what == std::string("conflicts") ? conflicts : what == std::string("kernels") ? launches : counts[what];
}

// emulator_profile is what kernels did since it was last asked.
const char *emulator_profile() {
	std::lock_guard<std::recursive_mutex> guard(lock);
	return profile_text();
}

int cuInit(u32) { return settings["devices"] ? Success : NoDevice; }
int cuDriverGetVersion(int *v) { return *v = (int)settings["version"], Success; }

int cuGetErrorName(int code, const char **p) {
	static const std::map<int, const char *> names = {{1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"}, {100, "CUDA_ERROR_NO_DEVICE"}, {101, "CUDA_ERROR_INVALID_DEVICE"},
		{201, "CUDA_ERROR_INVALID_CONTEXT"}, {218, "CUDA_ERROR_INVALID_PTX"}, {400, "CUDA_ERROR_INVALID_HANDLE"}, {500, "CUDA_ERROR_NOT_FOUND"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}};
	auto i = names.find(code);
	return i == names.end() ? Invalid : (*p = i->second, Success);
}

int cuGetErrorString(int, const char **p) { return *p = "emulated", Success; }
int cuDeviceGetCount(int *n) { return *n = (int)settings["devices"], Success; }
int cuDeviceGet(int *d, int i) { return i < (int)settings["devices"] ? (*d = i, Success) : InvalidDevice; }
int cuDeviceGetName(char *p, int n, int) { return snprintf(p, n, "emulated device"), Success; }
int cuDeviceTotalMem_v2(u64 *n, int) { return *n = settings["memory"], Success; }

int cuDeviceGetAttribute(int *v, int what, int) {
	u64 c = settings["capability"];
	*v = what == 75 ? c / 10 : what == 76 ? c % 10 : what == 16 ? 1 : what == 97 ? (int)shared_most() : 0;
	return Success;
}

int cuDevicePrimaryCtxRetain(void **p, int) { return *p = (void *)&settings, Success; }
int cuDevicePrimaryCtxRelease_v2(int) { return Success; }
int cuCtxSetCurrent(void *p) { return p == (void *)&settings ? (current = true, Success) : NoContext; }

int cuMemGetInfo_v2(u64 *free, u64 *total) {
	ENTER;
	*total = settings["memory"];
	*free = *total - used;
	return Success;
}

int cuMemAlloc_v2(u64 *p, u64 n) {
	ENTER;
	if (n == 0) return Invalid;
	if (n > settings["memory"] - used) return OutOfMemory;
	void *q = device_memory(n);
	if (!q) return OutOfMemory;
	memset(q, 0xff, n);
	*p = (u64)q;
	allocations[*p] = n, era++;
	used += n;
	counts["allocated"] = used;
	counts["peak"] = std::max(counts["peak"], used);
	return Success;
}

int cuMemFree_v2(u64 p) {
	ENTER;
	auto i = allocations.find(p);
	if (i == allocations.end()) return Invalid;
	int failed = drain_all();
	u64 n = i->second;
	counts["allocated"] = used -= n;
	allocations.erase(i), era++;
	if (settings["guard"]) munmap((void *)(p / page * page), (n + p % page + page - 1) / page * page + page);
	else n < large ? free((void *)p) : (void)munmap((void *)p, n);
	return failed;
}

int cuMemHostAlloc(void **p, u64 n, u32) {
	ENTER;
	*p = calloc(1, n);
	if (!*p) return OutOfMemory;
	allocations[(u64)*p] = n, era++;
	counts["pinned"] += n;
	return Success;
}

int cuMemFreeHost(void *p) {
	ENTER;
	int failed = drain_all();
	era++;
	if (!allocations.erase((u64)p)) return Invalid;
	free(p);
	return failed;
}

int cuMemcpyHtoDAsync_v2(u64 to, void *from, u64 n, Stream *s) {
	ENTER;
	for (Stream *other : streams) counts["beside"] += other != s && !other->queue.empty();
	return inside(to, n) ? put(s, [=] { return copy((void *)to, from, n); }) : Invalid;
}

int cuMemcpyDtoHAsync_v2(void *to, u64 from, u64 n, Stream *s) {
	ENTER;
	return inside(from, n) ? put(s, [=] { return copy(to, (void *)from, n); }) : Invalid;
}

int cuMemcpyDtoDAsync_v2(u64 to, u64 from, u64 n, Stream *s) {
	ENTER;
	return inside(from, n) && inside(to, n) ? put(s, [=] { return copy((void *)to, (void *)from, n); }) : Invalid;
}

int cuMemsetD8Async(u64 p, u8 v, u64 n, Stream *s) {
	ENTER;
	return inside(p, n) ? put(s, [=] { return memset((void *)p, v, n), Success; }) : Invalid;
}

// compiled reports whether the kernels of a module are in the library, and are to run from there.
static bool compiled(const char *image) {
	if (settings["ptx"]) return false;
	const char *at = strstr(image, ".entry ");
	if (!at) return true;
	std::string name(at + 7, strcspn(at + 7, "("));
	for (Entry *e = entries; e; e = e->next)
		if (name == e->name) return true;
	return false;
}

int cuModuleLoadDataEx(Module **m, const char *image, u32 n, const int *keys, void **values) {
	ENTER;
	std::string wrong = "emulated: no .version and .target";
	if (strstr(image, ".target sm_90a") && settings["capability"] != 90) {
		wrong = "emulated: code for sm_90a";
	} else if (strstr(image, ".version") && strstr(image, ".target")) {
		*m = new Module{image};
		if (!charge(settings["code"], (*m)->held)) return delete *m, OutOfMemory;
		if (compiled(image)) return Success;
		(*m)->text = read_text(image);
		wrong = (*m)->text->error;
		if (wrong.empty()) return Success;
		used -= (*m)->held;
		delete *m;
	}
	for (u32 i = 0; i < n; i++)
		if (keys[i] == 5) snprintf((char *)values[i], 1024, "ptxas application ptx input, line 1; fatal: %s", wrong.c_str());
	return BadPTX;
}

int cuModuleUnload(Module *m) {
	std::lock_guard<std::recursive_mutex> guard(lock);
	drain_all();
	used -= m->held;
	return delete m, Success;
}

// A kernel must be in the PTX and in the library, with a parameter of one size.
int cuModuleGetFunction(Function **f, Module *m, const char *name) {
	ENTER;
	if (m->text) {
		auto i = m->text->kernels.find(name);
		return i == m->text->kernels.end() ? NotFound : (*f = new Function{nullptr, i->second.get(), (48u << 10) - i->second->shared}, Success);
	}
	std::string key = std::string(".entry ") + name + "(";
	size_t at = m->ptx.find(key);
	for (Entry *e = entries; e && at != std::string::npos; e = e->next) {
		if (strcmp(e->name, name)) continue;
		size_t open = m->ptx.find('[', at);
		if (open == std::string::npos || strtoull(m->ptx.c_str() + open + 1, nullptr, 10) != e->bytes) return NotFound;
		return *f = new Function{e}, Success;
	}
	return NotFound;
}

int cuFuncSetAttribute(Function *f, int what, int n) {
	if (what != 8 || n < 0 || (u32)n + f->shared() > shared_most()) return Invalid;
	return f->room = n, Success;
}

int cuFuncGetParamInfo(Function *f, u64 i, u64 *offset, u64 *size) { return i ? Invalid : (*offset = 0, *size = f->bytes(), Success); }

int cuStreamCreate(Stream **s, u32) {
	ENTER;
	streams.push_back(*s = new Stream);
	return Success;
}

int cuStreamDestroy_v2(Stream *s) {
	ENTER;
	for (size_t i = 0; i < streams.size(); i++)
		if (streams[i] == s) return drain(s, s->put), streams.erase(streams.begin() + i), delete s, fault;
	return InvalidHandle;
}

int cuStreamSynchronize(Stream *s) {
	ENTER;
	counts["waits"]++;
	if (int failed = waits(s)) return failed;
	return drain(s, s->put);
}

int cuStreamWaitEvent(Stream *s, Event *e, u32) {
	ENTER;
	Stream *other = e->stream;
	u64 at = e->at;
	return other ? put(s, [=] { return drain(other, at); }) : Success;
}

int cuEventCreate(Event **e, u32) {
	ENTER;
	return *e = new Event, Success;
}

int cuEventDestroy_v2(Event *e) {
	ENTER;
	if (e->stream) drain(e->stream, e->at);
	delete e;
	return fault;
}

int cuEventRecord(Event *e, Stream *s) {
	ENTER;
	e->stream = s;
	e->at = s->put + 1;
	return put(s, [=] { return e->time = std::chrono::steady_clock::now(), Success; });
}

int cuEventSynchronize(Event *e) {
	ENTER;
	if (e->stream)
		if (int failed = waits(e->stream)) return failed;
	return e->stream ? drain(e->stream, e->at) : Success;
}

int cuEventElapsedTime(float *ms, Event *a, Event *b) {
	ENTER;
	*ms = std::chrono::duration<float, std::milli>(b->time - a->time).count();
	return Success;
}

int cuLaunchKernel(Function *f, u32 gx, u32 gy, u32 gz, u32 bx, u32 by, u32 bz, u32 shared, Stream *s, void **params, void **) {
	ENTER;
	if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > f->most_threads() || shared > f->room || gy > 65535 || gz > 65535) return Invalid;
	Entry *e = f->entry;
	const Body *body = f->body;
	std::string args((const char *)params[0], f->bytes()); // as they are now
	Dim3 grid = {gx, gy, gz}, block = {bx, by, bz};
	counts["launches"]++;
	return put(s, [=] {
		if (launches++ >= settings["lose"]) return (int)Illegal;
		room_bytes = shared;
		if (e ? run_grid(e->run, args.data(), grid, block) : run_text(*body, args.data(), grid, block, shared)) return (int)Success;
		counts[why]++;
		fprintf(stderr, "emulator: kernel %s: %s\n", e ? e->name : body->name.c_str(), why);
		return settings["report"] ? (int)Success : (int)LaunchFailed;
	});
}

int cuStreamBeginCapture_v2(Stream *s, int) {
	ENTER;
	return capturing ? Invalid : (capturing = s, captured = new Graph, spoiled = false, Success);
}

int cuStreamEndCapture(Stream *s, Graph **g) {
	ENTER;
	if (capturing != s) return Invalid;
	*g = captured;
	capturing = nullptr, captured = nullptr;
	if (!spoiled) return Success;
	delete *g;
	*g = nullptr;
	return Invalidated;
}

int cuGraphInstantiateWithFlags(Graph **x, Graph *g, u64) {
	ENTER;
	*x = new Graph(*g);
	return charge(settings["graph"] * g->work.size(), (*x)->held) ? (int)Success : (delete *x, (int)OutOfMemory);
}

int cuGraphDestroy(Graph *g) { return delete g, Success; }

int cuGraphExecDestroy(Graph *g) {
	std::lock_guard<std::recursive_mutex> guard(lock);
	used -= g->held;
	return delete g, Success;
}

int cuGraphLaunch(Graph *g, Stream *s) {
	ENTER;
	counts["graphs"]++;
	for (auto &w : g->work)
		if (int failed = put(s, w)) return failed;
	return Success;
}
}
