//go:build linux && (amd64 || arm64)

package emulator

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
)

// Own is Library as a file of the test's own, so that its settings and counts are, too.
func Own(t testing.TB, folder, settings string) string {
	t.Helper()
	data, err := os.ReadFile(Library(t, folder))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "libcuda.so.1")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := Set(path, settings); err != nil {
		t.Fatal(err)
	}
	return path
}

// Set changes what the library at path pretends, as "memory=1000,devices=0": devices;
// version of the driver, 1000 times the major and 10 times the minor number;
// capability of the device, as 80; memory in bytes, code the bytes of it that a module takes and graph those of each
// kernel of a graph; lose, the kernels after which
// the device is lost, lose_copies, the copies after which it is; eager, 1 if cp.async copies at once and not when it is waited for;
// ptx, 1 if kernels run as their PTX says and not as g++ compiled them; report, 1 if the device goes on after what a kernel
// did wrong was printed;
// drop, which of the waits for other threads or copies does not count in each kernel, from 1 on, with ptx=1;
// profile, how many blocks of each kernel are run and counted for Profile, with ptx=1: results are wrong then;
// backward, 1 if blocks, warps and threads take their turns from the last to the first; guard, 1 if memory ends where nobody may
// read (only before any is allocated);
// wgmma_fault, what wgmma does wrong: 1, it takes one distance of a descriptor for the other, 2, some never arrive at a barrier, 3, a sum
// is wrong, 4, it has other bits for few columns, 5, in the second group of a block;
// cublas_none, 1 for a cuBLASLt that has no algorithm. A command that a test starts reads
// them from PIPE_EMULATOR.
// The path "" is a device's own driver, which pretends nothing.
func Set(path, settings string) error {
	if path == "" {
		return nil
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return err
	}
	var set func(string)
	purego.RegisterLibFunc(&set, handle, "emulator_set")
	set(settings)
	return nil
}

// Count returns how often the process called the library at path to do something:
// "launches" of kernels, "graphs" launched, "waits" for a stream, "products" of cuBLASLt, copies
// to the device "beside" work that another stream still had; how many "kernels" have run since Set; how often ldmatrix met "conflicts" of banks; and, in bytes, how much of
// the device's memory is "allocated" and was at the "peak" since Set, and how much host memory was ever "pinned".
// Why a kernel failed is counted by the words that are printed of it. The driver of a device, at "", counts nothing.
func Count(path, what string) (uint64, error) {
	if path == "" {
		return 0, nil
	}
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, err
	}
	var count func(string) uint64
	purego.RegisterLibFunc(&count, handle, "emulator_count")
	return count(what), nil
}

// Work is what a kernel did, by the setting profile: Blocks, of which Run were run, and of these the instructions of
// warps, the threads that did these, sectors of 32 bytes of the device's memory, how often banks of shared memory were
// asked, and how few both could have been.
type Work struct {
	Kernel                                   string
	Blocks, Run, Instructions, Threads       uint64
	Sectors, SectorsLeast, Waves, WavesLeast uint64
}

// Profile returns what each kernel of the library at path did since it was last called, in the order of their names.
func Profile(path string) ([]Work, error) {
	handle, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	var text func() string
	purego.RegisterLibFunc(&text, handle, "emulator_profile")
	var all []Work
	for line := range strings.Lines(text()) {
		var w Work
		if _, err := fmt.Sscan(line, &w.Kernel, &w.Blocks, &w.Run, &w.Instructions, &w.Threads, &w.Sectors, &w.SectorsLeast, &w.Waves, &w.WavesLeast); err != nil {
			return nil, fmt.Errorf("profile of %q: %w", line, err)
		}
		all = append(all, w)
	}
	return all, nil
}
