package cuda

import (
	"bytes"
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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
		path := filepath.Join("ptx", strings.TrimSuffix(filepath.Base(source), ".cu")+".ptx")
		old, err := os.ReadFile(path)
		if err == nil && known(t, source, old) {
			continue
		}
		text, err2 := compile(source)
		if err2 != nil {
			t.Fatal(err2)
		}
		switch {
		case *update:
			if err := os.WriteFile(path, text, 0o644); err != nil {
				t.Fatal(err)
			}
		case err != nil || !bytes.Equal(old, text):
			t.Errorf("%s is not what %s makes of %s (%v): make kernels", path, compiler, source, err)
		default:
			remember(t, source, old)
		}
	}
}

// known reports whether the compiler made this text of a source before; what it made is kept
// in the user's cache folder, since all sources take it half a minute.
func known(t *testing.T, source string, text []byte) bool {
	_, err := os.Stat(memory(t, source, text))
	return err == nil
}

func remember(t *testing.T, source string, text []byte) {
	path := memory(t, source, text)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Log(err)
		return
	}
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Log(err)
	}
}

// memory names a file by all that the text depends on, and the text.
func memory(t *testing.T, source string, text []byte) string {
	sum := sha256.New()
	for _, args := range [][]string{{"--version"}, slices.Concat(ptxFlags(source), []string{"-E", source})} {
		out, err := exec.Command(compiler, args...).Output()
		if err != nil {
			t.Fatal(source, err)
		}
		fmt.Fprintf(sum, "%q %d\n%s", args, len(out), out)
	}
	sum.Write(text)
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	return filepath.Join(cache, "pipe", "ptx", fmt.Sprintf("%x", sum.Sum(nil)[:16]))
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
			if strings.Count(alone, entry) != 1 || !strings.Contains(alone, ".target "+arch(name)+"\n.address_size 64\n") || !strings.HasSuffix(alone, "\n}\n") {
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

// arch is what PTX is for: the oldest device that will do, and the driver compiles it
// for newer ones; or the only one that has wgmma, where a file is named for that.
func arch(name string) string {
	if strings.Contains(name, "wgmma") {
		return "sm_90a"
	}
	return "sm_80"
}

// ptxFlags make PTX. A product and a sum are never made one: kernels say where.
func ptxFlags(source string) []string {
	return []string{"-x", "cuda", "--cuda-device-only", "-nocudainc", "-nocudalib", "--cuda-feature=+ptx80", "--cuda-gpu-arch=" + arch(source),
		"-std=c++20", "-O3", "-ffp-contract=off", "-fno-unroll-loops"}
}

func compile(source string) ([]byte, error) {
	cmd := exec.Command(compiler, slices.Concat(ptxFlags(source), []string{"-S", "-o", "-", source})...)
	var text, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &said
	if err := cmd.Run(); err != nil {
		os.Stderr.Write(said.Bytes())
		return nil, err
	}
	return text.Bytes(), nil
}
