//go:build linux && (amd64 || arm64)

package driver_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"pipe.dev/kernels/cuda/driver"
	"pipe.dev/kernels/cuda/emulator"
)

// library returns an emulator of the test's own, with settings.
func library(t *testing.T, settings string) string {
	t.Helper()
	data, err := os.ReadFile(emulator.Library(t, ".."))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "libcuda.so.1")
	if err := os.WriteFile(path, data, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := emulator.Set(path, settings); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, settings string) *driver.Device {
	t.Helper()
	d, err := driver.Open(driver.Options{Library: library(t, settings)})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func ptx(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../ptx/copy.ptx")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// fill is the parameter of the kernel of that name.
type fill struct {
	To       driver.Pointer
	N, Value uint64
	Bytes    uint32
}

// Bytes go to the device and back, through a kernel, a graph and events.
func TestRoundTrip(t *testing.T) {
	d := open(t, "")
	if d.Name != "emulated device" || d.Capability() != 80 || d.Memory != 1<<34 || d.Version() != "12.4" {
		t.Errorf("%+v", d.Info)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	s, err := d.NewStream()
	must(err)
	const n = 100
	at, err := d.Alloc(n)
	must(err)
	host, err := d.AllocPinned(n)
	must(err)
	m, err := d.Load(ptx(t))
	must(err)
	f, err := m.Function("fill")
	must(err)
	params := &fill{at + 10, 20, 7, 1}
	l, err := driver.NewLaunch(f, driver.Dim{X: 1, Y: 1, Z: 1}, driver.Dim{X: 32, Y: 1, Z: 1}, 0, s, params)
	must(err)
	first, err := d.NewEvent()
	must(err)
	last, err := d.NewEvent()
	must(err)
	copy(host.Data, strings.Repeat("abcde", n/5))
	must(first.Record(s))
	must(s.ToDevice(at, host, 0, n))
	must(l.Run())
	g, err := s.Capture(func() error {
		params.To, params.Value = at+50, 9
		return l.Run()
	})
	must(err)
	must(s.Sync())
	clear(host.Data)
	must(g.Launch())
	must(s.Clear(at+90, 5))
	must(s.ToHost(host, 0, at, n))
	must(last.Record(s))
	must(last.Sync())
	want := []byte(strings.Repeat("abcde", n/5))
	for i := range 20 {
		want[10+i], want[50+i] = 7, 9
	}
	clear(want[90:95])
	if !bytes.Equal(host.Data, want) {
		t.Errorf("%q\nwant %q", host.Data, want)
	}
	if ms, err := last.Since(first); err != nil || ms < 0 {
		t.Errorf("%v ms, %v", ms, err)
	}
	if allocs := testing.AllocsPerRun(100, func() { must(l.Run()) }); allocs != 0 {
		t.Errorf("a launch allocates %v times", allocs)
	}
	must(errors.Join(s.Sync(), g.Close(), first.Close(), last.Close(), m.Close(), d.Free(at), host.Free(), s.Close(), d.Close()))
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

func TestBadModules(t *testing.T) {
	d := open(t, "")
	if _, err := d.Load("not PTX"); err == nil || !strings.Contains(err.Error(), "ptxas application ptx input, line 1") {
		t.Error(err)
	}
	m, err := d.Load(ptx(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Function("none"); err == nil || !strings.HasPrefix(err.Error(), "kernel none: cuModuleGetFunction") {
		t.Error(err)
	}
	f, err := m.Function("fill")
	if err != nil {
		t.Fatal(err)
	}
	s, err := d.NewStream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := driver.NewLaunch(f, driver.Dim{X: 1, Y: 1, Z: 1}, driver.Dim{X: 32, Y: 1, Z: 1}, 0, s, &struct{ x, y uint64 }{}); err == nil || !strings.Contains(err.Error(), "takes a parameter of 32 bytes, not 16") {
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
