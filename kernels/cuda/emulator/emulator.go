// Package emulator builds a libcuda for tests: the kernels of kernels/cuda as
// g++ compiles them, behind functions of the driver's names. The same file has the
// functions of libcublasLt, and lies beside itself under that name too.
//
// Kernels that the backend writes as text are done as that text says, instruction
// by instruction.
//
// It shows that kernels compute what they should and that the backend calls the
// driver as it must. It shows nothing of what only a GPU can: whether NVIDIA's
// compiler takes the PTX, races between threads that run at once, speed. It is
// no part of the product.
package emulator

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// flags of g++: a product and a sum are never made one, as the kernels say
// themselves where they are.
var flags = []string{"-std=c++20", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-march=native", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-DPIPE_EMULATOR", "-w"}

// ErrNoCompiler says that there is no g++.
var ErrNoCompiler = errors.New("no g++: the emulator of CUDA can't be built, so nothing of CUDA is tested here")

// Library is Build; a test is skipped where there is no g++.
func Library(t testing.TB, folder string) string {
	t.Helper()
	path, err := Build(folder)
	if errors.Is(err, ErrNoCompiler) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Build returns the path of the library, built of the folder of kernels/cuda. It
// is kept in the user's cache folder until a source changes.
func Build(folder string) (string, error) {
	compiler, err := exec.LookPath("g++")
	if err != nil {
		return "", ErrNoCompiler
	}
	sources, id, err := read(compiler, folder)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	dir := filepath.Join(cache, "pipe", "emulator-"+id)
	path := filepath.Join(dir, "libcuda.so.1")
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(work)
	made := filepath.Join(work, "libcuda.so.1")
	args := slices.Concat(flags, []string{"-o", made, "-x", "c++"}, sources)
	if out, err := exec.Command(compiler, args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("g++: %w\n%s", err, out)
	}
	if err := os.Symlink("libcuda.so.1", filepath.Join(dir, "libcublasLt.so.13")); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, os.Rename(made, path) // whoever builds it at the same time makes the same
}

// read lists the files to compile, and names their state.
func read(compiler, folder string) (sources []string, id string, err error) {
	hash := sha256.New()
	version, err := exec.Command(compiler, "--version").Output()
	if err != nil {
		return nil, "", err
	}
	fmt.Fprintf(hash, "%s%q", version, flags)
	for _, pattern := range []string{"source/*.cu", "source/*.h", "emulator/library/*"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) == 0 {
			return nil, "", fmt.Errorf("no %s in %s", pattern, folder)
		}
		for _, f := range files {
			data, err := os.ReadFile(f)
			if err != nil {
				return nil, "", err
			}
			fmt.Fprintf(hash, "%s %d\n%s", filepath.Base(f), len(data), data)
			if filepath.Ext(f) != ".h" {
				sources = append(sources, f)
			}
		}
	}
	return sources, fmt.Sprintf("%x", hash.Sum(nil)[:8]), nil
}
