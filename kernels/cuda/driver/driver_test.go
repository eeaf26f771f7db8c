//go:build linux && (amd64 || arm64)

package driver_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"

	"pipe.dev/kernels/cuda/driver"
)

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
	if allocs := testing.AllocsPerRun(100, func() { must(l.Run()) }); allocs != 0 && !bound {
		t.Errorf("a launch allocates %v times", allocs)
	}
	must(errors.Join(s.Sync(), g.Close(), first.Close(), last.Close(), m.Close(), d.Free(at), host.Free(), s.Close(), d.Close()))
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
