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

// TestCut: of each kernel there is a text with it alone, and with the arrays that
// it reads.
func TestCut(t *testing.T) {
	names, err := filepath.Glob("ptx/*.ptx")
	if err != nil || len(names) == 0 {
		t.Fatal("no PTX", err)
	}
	const entry = ".visible .entry "
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		head, rest, _ := strings.Cut(string(text), entry)
		for strings.Contains(rest, "(") {
			kernel, after, _ := strings.Cut(rest, "(")
			_, rest, _ = strings.Cut(after, entry)
			alone, err := cut(string(text), kernel)
			if err != nil {
				t.Fatal(name, err)
			}
			if strings.Count(alone, entry) != 1 || !strings.Contains(alone, ".target sm_80\n.address_size 64\n") || !strings.HasSuffix(alone, "\n}\n") {
				t.Errorf("%s: the text of %s is not of one kernel", name, kernel)
			}
			before, body, _ := strings.Cut(alone, entry)
			for line := range strings.Lines(head) {
				if a := array(line); a != "" && strings.Contains(body, a) != strings.Contains(before, a) {
					t.Errorf("%s: %s is told of %s, or not though it reads it", name, kernel, a)
				}
			}
		}
	}
	if _, err := cut("", "none"); err == nil {
		t.Error("a kernel that is not there")
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
