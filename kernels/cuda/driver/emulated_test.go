//go:build linux && (amd64 || arm64) && !gorgonia

package driver_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
)

// bound says that calls go by gorgonia.org/cu.
const bound = false

// library returns an emulator of the test's own, with settings.
func library(t *testing.T, settings string) string {
	t.Helper()
	return emulator.Own(t, "..", settings)
}

func open(t *testing.T, settings string) *driver.Device {
	t.Helper()
	d, err := driver.Open(driver.Options{Library: library(t, settings)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// What can go wrong is said in one line, of a kind that can be told, and the
// process goes on.
func TestFailures(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "libcuda.so.1")
	if err := os.WriteFile(empty, []byte("no library"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		path string
		kind error
		want string
	}{
		"no file":    {"/none/libcuda.so.1", driver.ErrNoDriver, "no CUDA driver: "},
		"no library": {empty, driver.ErrNoDriver, "no CUDA driver: "},
		"other":      {"libm.so.6", driver.ErrTooOld, "libm.so.6 has no function cuInit; CUDA 12.0 or newer is needed"},
		"no device":  {library(t, "devices=0"), driver.ErrNoDevice, "no CUDA device: cuInit"},
		"old driver": {library(t, "version=11080"), driver.ErrTooOld, "serves CUDA 11.8; 12.0 or newer is needed"},
		"old device": {library(t, "capability=75"), driver.ErrTooOld, "emulated device has compute capability 7.5; kernels need 8.0"},
	} {
		_, err := driver.Open(driver.Options{Library: c.path})
		if !errors.Is(err, c.kind) || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n")) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := driver.Open(driver.Options{Library: library(t, ""), Ordinal: 3}); !errors.Is(err, driver.ErrNoDevice) || !strings.Contains(err.Error(), "no device 3; the driver sees 1") {
		t.Error(err)
	}
}

func TestMemoryEnds(t *testing.T) {
	d := open(t, "memory=1000")
	if _, err := d.Alloc(1001); !errors.Is(err, driver.ErrMemory) || !strings.HasPrefix(err.Error(), "out of device memory: cuMemAlloc_v2") {
		t.Error(err)
	}
	p, err := d.Alloc(600)
	if free, e := d.FreeMemory(); err != nil || e != nil || free != 400 {
		t.Error(free, err, e)
	}
	if err := d.Free(p); err != nil {
		t.Error(err)
	}
}

// A device that is lost stays lost; every call says so.
func TestLost(t *testing.T) {
	d := open(t, "lose=0")
	m, err := d.Load(ptx(t))
	if err != nil {
		t.Fatal(err)
	}
	f, err := m.Function("fill")
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	l, err := driver.NewLaunch(f, driver.Dim{X: 1, Y: 1, Z: 1}, driver.Dim{X: 32, Y: 1, Z: 1}, 0, s, &fill{})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Run(); err != nil {
		t.Error(err)
	}
	for range 2 {
		if err := s.Sync(); !errors.Is(err, driver.ErrLost) || !strings.HasPrefix(err.Error(), "the CUDA device is lost: cuStreamSynchronize") {
			t.Error(err)
		}
	}
	if err := l.Run(); !errors.Is(err, driver.ErrLost) {
		t.Error(err)
	}
}
