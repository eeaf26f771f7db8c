// What kernels and the driver of the emulator share.
#pragma once

typedef unsigned char u8;
typedef signed char i8;
typedef unsigned short u16;
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

// run_grid runs a kernel; false if some of its threads wait for ever.
bool run_grid(Kernel k, const void *args, Dim3 grid, Dim3 block);

} // namespace emulator
