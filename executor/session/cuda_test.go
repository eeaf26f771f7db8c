//go:build linux && (amd64 || arm64)

package session

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/kernels"
	"pipe.dev/kernels/cuda"
	"pipe.dev/kernels/cuda/emulator"
)

// hostBytes is the memory of this process, mapped pages of files among it, but for shared
// memory, which is what the emulator takes for that of the device.
func hostBytes(t testing.TB) (sum int64) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	s := bufio.NewScanner(bytes.NewReader(data))
	for s.Scan() {
		var kib int64
		if line := s.Text(); strings.HasPrefix(line, "RssAnon:") || strings.HasPrefix(line, "RssFile:") {
			if _, err := fmt.Sscanf(line[len("RssAnon:"):], "%d kB", &kib); err != nil {
				t.Fatal(err)
			}
			sum += kib << 10
		}
	}
	return sum
}

// watching is a device that looks at the memory of the host whenever something is written.
type watching struct {
	*cuda.Backend
	t    *testing.T
	most int64
}

type watched struct {
	kernels.Buffer
	by *watching
}

func (w *watching) Alloc(n int64) (kernels.Buffer, error) {
	b, err := w.Backend.Alloc(n)
	return watched{b, w}, err
}

func (b watched) Write(offset int64, src []byte) error {
	err := b.Buffer.Write(offset, src)
	b.by.most = max(b.by.most, hostBytes(b.by.t))
	return err
}

// A file goes to the device through 8 MiB of pinned memory and 4 MiB of mapped pages at a time: one of
// weights much larger than that, one of them converted on its way, takes 32 MiB of the host.
func TestWeightsStream(t *testing.T) {
	const plain, half = 96 << 20, 24 << 20 // bytes in the file
	b, err := cuda.New(cuda.Options{Library: emulator.Library(t, "../../kernels/cuda")})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	header := fmt.Sprintf(`{"a":{"dtype":"F32","shape":[%d,1024],"data_offsets":[0,%d]},"b":{"dtype":"BF16","shape":[%d,1024],"data_offsets":[%d,%d]}}`,
		plain/4096, plain, half/2048, plain, plain+half)
	path := filepath.Join(t.TempDir(), "model.safetensors")
	last := binary.LittleEndian.AppendUint16(nil, 0x3f80) // 1 in bf16
	if err := writeSparse(path, header, plain+half, last); err != nil {
		t.Fatal(err)
	}
	c, err := checkpoint.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	states := []plan.State{
		{Path: "a", Type: ir.T(ir.F32, plain/4096, 1024), Bytes: plain},
		{Path: "b", Type: ir.T(ir.F32, half/2048, 1024), Bytes: 2 * half},
	}
	device := &watching{Backend: b, t: t}
	s := NewStore(device)
	if err := s.Room(states); err != nil {
		t.Fatal(err)
	}
	debug.FreeOSMemory()
	before := hostBytes(t)
	if err := s.Load(c, func(path string) string { return path }, states, nil); err != nil {
		t.Fatal(err)
	}
	const bound = 32 << 20
	took := device.most - before
	t.Logf("loading %d MiB took %d KiB of the host", (plain+half)>>20, took>>10)
	if took > bound {
		t.Errorf("loading %d MiB took %d MiB of the host's memory, want at most %d", (plain+half)>>20, took>>20, bound>>20)
	}
	x, ok := s.Tensor("b")
	got := make([]byte, 8)
	if err := x.Buffer.Read(x.Offset+2*half-8, got); err != nil || !ok || !bytes.Equal(got, []byte{0, 0, 0, 0, 0, 0, 0x80, 0x3f}) {
		t.Errorf("the last weights are %v, want 0 and 1; %v", got, err)
	}
	if err := s.Free(); err != nil {
		t.Error(err)
	}
}

// writeSparse writes a file of so many bytes of weights, zero but for the last, whose
// pages take no room on the disk.
func writeSparse(path, header string, size int64, last []byte) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	head := append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
	if _, err := f.Write(head); err != nil {
		return err
	}
	_, err = f.WriteAt(last, int64(len(head))+size-int64(len(last)))
	return err
}
