// Package emulator builds a libcuda for tests: the kernels of kernels/cuda as
// g++ compiles them, behind functions of the driver's names. The same file has the
// functions of libcublasLt, and lies beside itself under that name too.
//
// Kernels that the backend writes as text are done as that text says, instruction by instruction, warp by
// warp; and so are all others by the setting ptx=1, from the PTX that is committed. Then every access is checked, too: whether
// memory is allocated, whether an address is a multiple of what is read there, and whether two threads are at one place of
// shared memory, or two blocks at one of the device's, one of them writes, and neither waited for the other.
//
// It shows that kernels compute what they should and that the backend calls the
// driver as it must. It shows nothing of what only a GPU can: what NVIDIA's compiler makes of the PTX, in which order
// tensor cores add, and speed. It is no part of the product.
package emulator

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// flags of g++: a product and a sum are never made one, as the kernels say
// themselves where they are.
var flags = []string{"-std=c++20", "-O2", "-ffp-contract=off", "-fno-strict-aliasing", "-march=native", "-fPIC", "-DPIPE_EMULATOR", "-w"}

// more flags come of PIPE_EMULATOR_FLAGS, as those of g++ that stop what reads beyond arrays or at places that a device can't.
func init() { flags = append(flags, strings.Fields(os.Getenv("PIPE_EMULATOR_FLAGS"))...) }

// ErrNoCompiler says that there is no g++.
var ErrNoCompiler = errors.New("no g++: the emulator of CUDA can't be built, so nothing of CUDA is tested here")

// Library is Build; a test is skipped where there is no g++.
func Library(t testing.TB, folder string) string {
	t.Helper()
	_ = os.Getenv("PIPE_EMULATOR") // the library reads it: results that go test keeps are of its value
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
// is kept in the user's cache folder, and so is each source's part of it, until
// something changes that it is made of.
func Build(folder string) (string, error) {
	compiler, err := exec.LookPath("g++")
	if err != nil {
		return "", ErrNoCompiler
	}
	parts, id, err := read(compiler, folder)
	if err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = os.TempDir()
	}
	cache = filepath.Join(cache, "pipe")
	path := filepath.Join(cache, "emulator-"+id, "libcuda.so.1")
	other := filepath.Join(filepath.Dir(path), "libcublasLt.so.13") // made last
	if _, err := os.Stat(other); err == nil {
		return path, nil
	}
	discard(cache)
	objects := make([]string, len(parts))
	errs := make([]error, len(parts))
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var all sync.WaitGroup
	for i, p := range parts {
		objects[i] = filepath.Join(cache, "emulator-objects", p.id+".o")
		all.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			errs[i] = produce(compiler, objects[i], func() error { return unchanged(compiler, folder, i, p) }, "-c", "-x", "c++", p.source)
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		return "", err
	}
	if err := produce(compiler, path, func() error { return nil }, slices.Concat([]string{"-shared", "-Wl,-soname,libcuda.so.1"}, objects)...); err != nil {
		return "", err
	}
	if err := os.Symlink(filepath.Base(path), other); err != nil && !errors.Is(err, os.ErrExist) {
		return "", err
	}
	return path, nil
}

// discard removes what has not been built in the last three days from the folder of builds. What can't be
// removed stays: it is in nobody's way.
func discard(cache string) {
	for _, pattern := range []string{"emulator-*", "emulator-objects/*"} {
		found, _ := filepath.Glob(filepath.Join(cache, pattern))
		for _, path := range found {
			if info, err := os.Stat(path); err == nil && time.Since(info.ModTime()) > 72*time.Hour {
				_ = os.RemoveAll(path)
			}
		}
	}
}

// unchanged is an error if a part is no longer what its name says: somebody wrote while it was compiled.
func unchanged(compiler, folder string, i int, p part) error {
	now, _, err := read(compiler, folder)
	if err == nil && (i >= len(now) || now[i] != p) {
		err = fmt.Errorf("%s changed while it was compiled: try again", p.source)
	}
	return err
}

// produce has the compiler make a file, unless it is there, and keeps it if that is right. Who finds somebody at it waits, as tests of
// several packages begin at the same time.
func produce(compiler, path string, right func() error, args ...string) error {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	turn := path + ".turn"
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		f, err := os.OpenFile(turn, os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			defer os.Remove(turn)
			if err := f.Close(); err != nil {
				return err
			}
			if _, err := os.Stat(path); err == nil { // since it was looked for
				return nil
			}
			break
		}
		if !errors.Is(err, os.ErrExist) {
			return err
		}
		if info, err := os.Stat(turn); err == nil && time.Since(info.ModTime()) > 5*time.Minute {
			_ = os.Remove(turn) // of a process that was killed
		}
		time.Sleep(50 * time.Millisecond)
	}
	work, err := os.MkdirTemp(dir, "build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	made := filepath.Join(work, filepath.Base(path))
	if out, err := exec.Command(compiler, slices.Concat(flags, []string{"-o", made}, args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("g++: %w\n%s", err, out)
	}
	if err := right(); err != nil {
		return err
	}
	return os.Rename(made, path)
}

// part is a source with what names its state, and that of all headers.
type part struct{ source, id string }

// read lists the files to compile, and names their state.
func read(compiler, folder string) (parts []part, id string, err error) {
	version, err := exec.Command(compiler, "--version").Output()
	if err != nil {
		return nil, "", err
	}
	headers, own := sha256.New(), sha256.New() // of all, and of what runs PTX, which kernels do not read
	fmt.Fprintf(headers, "%s%q", version, flags)
	var sources []string
	for _, pattern := range []string{"source/*.cu", "source/*.h", "emulator/library/*"} {
		files, err := filepath.Glob(filepath.Join(folder, pattern))
		if err != nil || len(files) == 0 {
			return nil, "", fmt.Errorf("no %s in %s", pattern, folder)
		}
		for _, f := range files {
			if filepath.Ext(f) != ".h" {
				sources = append(sources, f)
				continue
			}
			of := headers
			if strings.HasPrefix(filepath.Base(f), "ptx") {
				of = own
			}
			if err := digest(of, f); err != nil {
				return nil, "", err
			}
		}
	}
	whole, common, rest := sha256.New(), headers.Sum(nil), own.Sum(nil)
	for _, f := range sources {
		one := sha256.New()
		one.Write(common)
		if filepath.Ext(f) != ".cu" {
			one.Write(rest)
		}
		if err := digest(one, f); err != nil {
			return nil, "", err
		}
		sum := one.Sum(nil)
		whole.Write(sum)
		parts = append(parts, part{f, fmt.Sprintf("%x", sum[:8])})
	}
	return parts, fmt.Sprintf("%x", whole.Sum(nil)[:8]), nil
}

// digest adds a file's name and content.
func digest(to io.Writer, file string) error {
	data, err := os.ReadFile(file)
	if err == nil {
		_, err = fmt.Fprintf(to, "%s %d\n%s", filepath.Base(file), len(data), data)
	}
	return err
}
