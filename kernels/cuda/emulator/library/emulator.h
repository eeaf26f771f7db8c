// What kernels and the driver of the emulator share.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
typedef short i16;
typedef unsigned int u32;
typedef int i32;
typedef unsigned long long u64;
typedef long long i64;

struct Dim3 {
	u32 x, y, z;
};

namespace emulator {

// Kernel runs one thread of a kernel; args is its parameter.
typedef void (*Kernel)(const void *args);

// Entry is a kernel of the library.
struct Entry {
	const char *name;
	Kernel run;
	u64 bytes; // of the parameter
	Entry *next;
	Entry(const char *name, Kernel run, u64 bytes);
};

// where says which thread runs; there is one at a time.
extern Dim3 thread, block, block_size, grid_size;

void wait_block();
u32 wait_exchange(u32 v, u32 m);

// What the threads of a warp meet for.
enum Meeting : u32 { MmaHalf = 1, MmaTF32 = 10, MmaI8, MmaU8, Matrices = 20, SyncWarp = 30, Wgmma = 40, WgmmaFence, WgmmaCommit, WgmmaWait, SetRegisters, WgmmaHeld };

// Post is what a thread shows the others of its warp.
struct Post {
	u64 meeting; // which, of all
	u32 what;
	u32 words[6];
};

// meet shows words to the warp, and gives what its 32 threads show, until the
// thread meets the others again. All must come, for the same.
const Post *meet(u32 what, const u32 *words);

// stray ends the thread: its kernel fails, for that reason.
void stray(const char *why);

// count_conflicts counts a read of eight rows of 16 bytes that do not all lie in
// other banks of shared memory.
void count_conflicts(const Post *rows);
extern u64 conflicts;

// Copies into shared memory are done when they are waited for, so that who does
// not wait reads what was there; or at once, by the setting eager=1, so that who
// still reads what was there is found.
void copy_later(void *to, const void *from, u32 bytes, u32 n);
void commit_copies();
void wait_copies(u32 left);
extern bool eager;

// Kernels that are run as PTX go warp by warp: threads meet by themselves there, and copy_landed is told what copies for a
// thread wrote in shared memory, product_reads where a wgmma for it reads 16 bits.
extern bool by_warps;
void copy_landed(u32 thread, u32 at, u32 bytes);
void product_reads(u32 thread, u32 at);

// By the setting backward=1 blocks, warps and threads take their turns from the last to the first: what depends on
// the order, since somebody does not wait, then has other results.
extern bool backward;

// AsyncProduct is a wgmma of the thread: its descriptors, the sums that the thread has, columns, whether sums
// are kept, how operands lie, what 16 bits of them are, and the registers of a, if it lies there.
struct AsyncProduct {
	u64 a, b;
	float *sum;
	u32 n;
	bool keep, a_transposed, b_transposed;
	float (*value)(u16);
	const u32 *held = nullptr;
	const u32 *places = nullptr; // of the sums, and of what is held, if they do not lie one after the other; those of a warp's other threads lie beside then
	float &at(u32 i) const { return sum[places ? places[i] : i]; }
	const u32 *held_places = nullptr;
	u32 word(u32 i, i32 beside) const { return held_places ? held[(i64)held_places[i] + beside] : held[i]; }
};

// See source/wgmma.h.
void product_later(const AsyncProduct &p);
void fence_products();
void commit_products();
void wait_products(u32 left);
void make_barrier(u64 *b, u32 count);
void arrive(u64 *b);
void wait_barrier(u64 *b, u32 parity, u32 *late);
void fence_async();
void set_registers(u32 n);

// What blocks and these need of each other: begin_async forgets what was of another block, async_left says
// whether the thread has products that nobody waited for, wrote_shared that it wrote by cp.async. wait_gate
// leaves the thread until a barrier is passed; or if it never is and there is a late, until it gives up, and *late says so.
void begin_async(u32 threads);
bool async_left();
void wrote_shared(const void *to, u32 bytes);
bool barrier_passed(const u64 *b, u32 parity);
void check_barrier(const u64 *b);
void wait_gate(const u64 *b, u32 parity, u32 *late);
extern bool gave_up; // somebody did, in this block

// room is the shared memory that launches ask for, room_bytes of it: what is there
// before a block writes it is no number. room_begins is its address there.
const u32 most_room = 227 << 10, room_begins = 1 << 10;
extern u8 room[most_room];
extern u32 room_bytes;

// be makes a thread the one that runs; fresh_block makes all of a block, and its shared memory, as they begin.
void be(u32 t);
void fresh_block(u32 threads);

// inside reports whether memory of the device is allocated.
bool inside(u64 p, u64 n);

// run_grid runs a kernel; false if some of its threads wait for ever or stray,
// and why says so.
extern const char *why;
bool run_grid(Kernel k, const void *args, Dim3 grid, Dim3 block);

} // namespace emulator
