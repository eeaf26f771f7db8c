//go:build linux && (amd64 || arm64)

package model

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/kernels/cpu"
	"pipe.dev/kernels/cuda"
	"pipe.dev/kernels/cuda/emulator"
	"pipe.dev/schema"
)

// onCUDA opens a model of the golden folders on the emulated device.
func onCUDA(t *testing.T, name string, off Offload) (m *Model, library string) {
	t.Helper()
	return onCUDAAs(t, Options{Dir: filepath.Join(golden, "arch", name), Offload: off})
}

// onCUDAAs opens a model as o says on the emulated device.
func onCUDAAs(t *testing.T, o Options) (m *Model, library string) {
	t.Helper()
	library = emulator.Library(t, "../../kernels/cuda")
	device, err := cuda.New(cuda.Options{Library: library})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close() })
	host, err := cpu.New(cpu.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { host.Close() })
	table, err := op.New()
	if err != nil {
		t.Fatal(err)
	}
	o.Name, o.Backend, o.Host = "models.test", device, host
	o.Compile = func(m *schema.Model, e plan.Entry, w Weights) (Program, error) {
		o := compiler.Options{Entry: e, Target: device, Weight: w.DType, Blocks: w.Blocks, Layout: w.Layout, Pairs: w.Pairs, Precision: w.Precision}
		if e.Side == plan.Front {
			o.Target = host
		}
		return compiler.Compile(m, table, o)
	}
	m, err = Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m, library
}

func counted(t *testing.T, library, what string) uint64 {
	t.Helper()
	n, err := emulator.Count(library, what)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A token is one launch of a graph, also where layers stay on the host, and the whole
// step allocates nothing: inputs, run, logits.
func TestTokenIsOneGraph(t *testing.T) {
	ctx := context.Background()
	for _, off := range []Offload{{}, {Cut: true, Layers: 1}} {
		m, library := onCUDA(t, "llama", off)
		generator(t, m, 1, 8)
		g, err := m.Generator()
		if err != nil {
			t.Fatal(err)
		}
		s, err := sampler.New(g.Vocab(), sampler.Options{})
		if err != nil {
			t.Fatal(err)
		}
		push := func() {
			id, err := g.Next(s)
			if err == nil {
				err = g.Push(ctx, id)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if err := g.Start(ctx, []int32{1, 2, 3}, 32); err != nil {
			t.Fatal(err)
		}
		push() // launches each kernel
		push() // records them
		launches, graphs := counted(t, library, "launches"), counted(t, library, "graphs")
		const tokens = 5
		allocs := testing.AllocsPerRun(tokens-1, push)
		if l, n := counted(t, library, "launches")-launches, counted(t, library, "graphs")-graphs; l != 0 || n != tokens {
			t.Errorf("%+v: %d tokens are %d launches of kernels and %d of graphs, want 0 and %d", off, tokens, l, n, tokens)
		}
		if allocs != 0 {
			t.Errorf("%+v: a token allocates %v times", off, allocs)
		}
	}
}

// TestBesidePlans: constants and code of kernels are held beside what plans say, and are known, to the byte,
// before anything is read; graphs are when they were made.
func TestBesidePlans(t *testing.T) {
	ctx := context.Background()
	m, library := onCUDA(t, "../pictures/unet_condition/model", Offload{})
	if err := emulator.Set(library, "code=4096,graph=512"); err != nil {
		t.Fatal(err)
	}
	defer emulator.Set(library, "code=0,graph=0")
	device := m.device.backend.(*cuda.Backend)
	free := func() int64 {
		t.Helper()
		n, err := device.FreeMemory()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before, allocated := free(), counted(t, library, "allocated")
	p, err := m.Call(map[string]int{"batch": 1, "height": 2, "width": 2, "tokens": 3}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	beside, err := m.Rehearse()
	if held := before - free(); err != nil || beside < 4096 || held != beside {
		t.Fatalf("%d bytes are held before the run, %d were said, %v", held, beside, err)
	}
	if err := m.Load(ctx); err != nil {
		t.Fatal(err)
	}
	s, err := m.session(p)
	if err != nil {
		t.Fatal(err)
	}
	if held, peak := before-free(), int64(counted(t, library, "peak")-allocated); held != m.PeakBytes()+beside || peak != held {
		t.Errorf("%d bytes are held, %d at most, %d and %d were said", held, peak, m.PeakBytes(), beside)
	}
	for range 2 {
		if err := errors.Join(s.Run(ctx), s.Wait(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	var all int64
	for _, b := range device.Beyond() {
		if !b.Host {
			all += b.Bytes
		}
		if b.Bytes == 0 {
			t.Errorf("%s: nothing is held", b.What)
		}
		if b.What == "graphs" && b.Bytes < 512*int64(len(p.Steps))/2 {
			t.Errorf("the graph of %d steps takes %d bytes", len(p.Steps), b.Bytes)
		}
	}
	if held := before - free(); held != m.PeakBytes()+all {
		t.Errorf("%d bytes are held after runs, %d and %d were said", held, m.PeakBytes(), all)
	}
}

// TestDevicePeak: what the plans say is what the device's memory holds at most, to the byte.
func TestDevicePeak(t *testing.T) {
	for _, off := range []Offload{{}, {Cut: true, Layers: 1}} {
		for _, name := range []string{"llama", "qwen2_bf16", "deepseek_v3"} {
			m, library := onCUDA(t, name, off)
			if err := emulator.Set(library, ""); err != nil {
				t.Fatal(err)
			}
			before := counted(t, library, "allocated")
			generator(t, m, 1, 8)
			g, err := m.Generator()
			if err == nil {
				err = g.Start(context.Background(), []int32{1, 2, 3}, 8)
			}
			if err != nil {
				t.Fatal(err)
			}
			peak, want := int64(counted(t, library, "peak")-before), m.PeakBytes()
			t.Logf("%s: %d bytes are held at most, %d were said; weights %d", name, peak, want, m.StateBytes(ir.Weight))
			if peak != want {
				t.Errorf("%s, %+v: %d bytes are held at most, %d were said", name, off, peak, want)
			}
			if err := m.Close(); err != nil {
				t.Error(err)
			}
			if left := counted(t, library, "allocated") - before; left != 0 {
				t.Errorf("%s: %d bytes are left", name, left)
			}
		}
	}
}

// Sequences of several lengths that are continued at once, whose caches move on the device when one is done, give the
// tokens that each gives alone, also where layers stay on the host.
func TestBatchCUDA(t *testing.T) {
	prompts, most := [][]int32{{1, 2, 3}, {4, 5}, {6, 7, 8, 9}}, []int{2, 6, 5}
	alone, _ := open(t, filepath.Join(golden, "arch", "llama"), 1, "")
	want := greedyBatch(t, alone, prompts, most, 3)
	for _, off := range []Offload{{}, {Cut: true, Layers: 1}} {
		m, _ := onCUDA(t, "llama", off)
		if got := greedyBatch(t, m, prompts, most, 2); !slices.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%+v: %v, want %v", off, got, want)
		}
	}
}

// Models in 16 bits are as near to their values on the device as on the processor.
func TestRoundedOnCUDA(t *testing.T) {
	for _, name := range []string{"unet_condition", "autoencoder_kl", "clip_text"} {
		dir := filepath.Join(golden, "pictures", name)
		values := tensortest.Read(t, filepath.Join(dir, "values.safetensors"))
		m, _ := onCUDAAs(t, Options{Dir: filepath.Join(dir, "model"), Precision: ir.F16})
		compared := 0
		for _, have := range callOpened(t, m, called(values), nil) {
			if want, ok := values["out."+have.Name]; ok {
				compared++
				if d := distance(have.Float64s(), want.Float64s()); !(d <= 0.002) {
					t.Errorf("%s: %s is off by %.5f of its length", name, have.Name, d)
				}
			}
		}
		if compared == 0 {
			t.Errorf("%s: nothing was compared", name)
		}
	}
	want := expected(t, filepath.Join(golden, "arch", "llama31"))
	m, _ := onCUDAAs(t, Options{Dir: filepath.Join(golden, "arch", "llama31"), Precision: ir.BF16})
	if d := distance(forwardLogits(t, m, want["ids"]), want["logits"].Float64s()); !(d <= 0.0286) { // that of transformers
		t.Errorf("llama31: logits are off by %.5f of their length", d)
	}
}
