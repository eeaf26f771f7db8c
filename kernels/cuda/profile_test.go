//go:build linux && (amd64 || arm64)

package cuda

import (
	"context"
	"flag"
	"fmt"
	"regexp"
	"testing"

	"pipe.dev/compiler/op"
	"pipe.dev/kernels/bench"
	"pipe.dev/kernels/cuda/emulator"
)

var (
	profiled  = flag.String("profile", "", "which large cases of the op table to profile in the emulator: make profile-cuda")
	sampled   = flag.Int("blocks", 4, "how many blocks of each kernel stand for all there")
	profileAt = flag.Int("capability", 80, "the capability of the device there")
)

// TestProfile prints, for large cases of the op table, what their kernels would have memory do: a kernel whose warps
// touch twice the sectors of 32 bytes that they need, or ask banks of shared memory twice as often, has a line of its own to mend.
func TestProfile(t *testing.T) {
	if *profiled == "" || *device {
		t.Skip("no -profile")
	}
	which, err := regexp.Compile(*profiled)
	if err != nil {
		t.Fatal(err)
	}
	path := emulator.Own(t, ".", fmt.Sprintf("ptx=1,profile=%d,capability=%d", *sampled, *profileAt))
	b, err := New(Options{Library: path})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	list, err := bench.List(b, table)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("| case | kernel | blocks | instructions a block | threads of 32 | sectors, of the least | banks, of the least |\n|---|---|---|---|---|---|---|\n")
	for _, c := range list {
		if !which.MatchString(c.String()) {
			continue
		}
		if err := profileCase(b, path, &c); err != nil {
			t.Errorf("%s: %v", c.String(), err)
		}
	}
}

func profileCase(b *Backend, path string, c *bench.Case) error {
	call, err := c.Bind(b)
	if err != nil {
		return err
	}
	if _, err := emulator.Profile(path); err != nil { // of what binding ran
		return err
	}
	if err := call.Run(context.Background()); err != nil {
		return err
	}
	if err := b.stream.Sync(); err != nil {
		return err
	}
	work, err := emulator.Profile(path)
	if err != nil {
		return err
	}
	of := func(v, least uint64) string {
		if least == 0 {
			return ""
		}
		return fmt.Sprintf("%.2f", float64(v)/float64(least))
	}
	for _, w := range work {
		fmt.Printf("| %s | %s | %d | %d | %.1f | %s | %s |\n", c.String(), w.Kernel, w.Blocks, w.Instructions/w.Run, float64(w.Threads)/float64(w.Instructions), of(w.Sectors, w.SectorsLeast), of(w.Waves, w.WavesLeast))
	}
	return call.Free()
}
