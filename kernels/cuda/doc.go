// Package cuda holds the kernels for NVIDIA's GPUs: source/ in C++, and ptx/
// what clang makes of them, which is embedded.
//
// So far they have run in the emulator of kernels/cuda/emulator only, on no
// GPU.
package cuda
