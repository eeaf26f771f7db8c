// What another library in the emulator needs of its driver.
#pragma once
#include "emulator.h"

#include <functional>

namespace emulator {

// Guard keeps other threads out of the driver as long as it lives.
struct Guard {
	Guard();
	~Guard();
};

// entered says whether the thread has a context, and the device is well.
bool entered();

// reachable says whether n bytes from p on lie in one allocation.
bool reachable(u64 p, u64 n);

// enqueue puts work into a stream, or into what is recorded of it.
int enqueue(void *stream, std::function<int()> work);

// setting is what a test set, or 0; count notes that something was done once more.
u64 setting(const char *name);
void count(const char *what);

} // namespace emulator
