package cuda

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the PTX of the kernels")

// compiler makes the PTX: LLVM 19's of Debian, so that all have the same text.
const compiler = "clang-19"

// TestPTX: the PTX is what the compiler makes of the kernels, and there is no other.
func TestPTX(t *testing.T) {
	sources, err := filepath.Glob("source/*.cu")
	if err != nil || len(sources) == 0 {
		t.Fatal("no kernels", err)
	}
	made, err := filepath.Glob("ptx/*.ptx")
	if err != nil || !*update && len(made) != len(sources) {
		t.Errorf("%d files of PTX for %d of kernels: make kernels, and delete what is left", len(made), len(sources))
	}
	if _, err := exec.LookPath(compiler); err != nil {
		t.Skip("no " + compiler + " to make the PTX again")
	}
	for _, source := range sources {
		text, err := compile(source)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join("ptx", strings.TrimSuffix(filepath.Base(source), ".cu")+".ptx")
		if *update {
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if old, err := os.ReadFile(path); err != nil || !bytes.Equal(old, text) {
			t.Errorf("%s is not what %s makes of %s (%v): make kernels", path, compiler, source, err)
		}
	}
}

// compile makes PTX for the oldest device that will do; the driver compiles it
// for newer ones. A product and a sum are never made one: kernels say where.
func compile(source string) ([]byte, error) {
	cmd := exec.Command(compiler, "-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-feature=+ptx80", "--cuda-gpu-arch=sm_80",
		"-std=c++20", "-O3", "-ffp-contract=off", "-fno-unroll-loops", "-S", "-o", "-", source)
	var text, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &said
	if err := cmd.Run(); err != nil {
		os.Stderr.Write(said.Bytes())
		return nil, err
	}
	return text.Bytes(), nil
}
