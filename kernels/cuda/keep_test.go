//go:build linux && (amd64 || arm64)

package cuda

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"pipe.dev/kernels/cuda/emulator"
)

var keep = flag.String("keep", "", "a folder for the emulator, as libcuda and libcublasLt")

// TestKeep puts the emulator where other programs find it: make emulator.
func TestKeep(t *testing.T) {
	if *keep == "" {
		t.Skip("no -keep")
	}
	data, err := os.ReadFile(emulator.Library(t, "."))
	if err == nil {
		err = os.MkdirAll(*keep, 0o755)
	}
	links := []string{"libcuda.so", "libcublasLt.so.13"} // the first is for linkers
	for _, name := range append(links, "libcuda.so.1") {
		os.Remove(filepath.Join(*keep, name))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(*keep, "libcuda.so.1"), data, 0o755)
	}
	for _, name := range links {
		if err == nil {
			err = os.Symlink("libcuda.so.1", filepath.Join(*keep, name))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}
