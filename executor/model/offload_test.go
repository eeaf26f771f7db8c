package model

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/executor/tensorfile/tensortest"
	"pipe.dev/kernels/cpu"
	"pipe.dev/schema"
)

// openCut opens a model whose first layers lie on a device of their own, of portable
// kernels, so that both sides are known apart.
func openCut(t *testing.T, dir string, o Offload) *Model {
	t.Helper()
	m, host, err := tryCut(t, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil || host.Allocated() != 0 {
			t.Errorf("%d bytes are still allocated on the host, %v", host.Allocated(), err)
		}
	})
	return m
}

func tryCut(t *testing.T, dir string, o Offload) (*Model, *cpu.Backend, error) {
	t.Helper()
	device, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	host, err := cpu.New(cpu.Options{Threads: 1, Tier: "generic"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { device.Close(); host.Close() })
	on := map[bool]Compile{false: compiled(t, device), true: compiled(t, host)}
	m, err := Open(Options{Name: "models.test", Dir: dir, Backend: device, Host: host, Offload: o,
		Compile: func(m *schema.Model, e plan.Entry, w Weights) (Program, error) {
			return on[e.Side == plan.Front](m, e, w)
		}})
	return m, host, err
}

// TestCutForward cuts every model behind its first layer, and one at every place:
// logits and hidden states of both sides are those of transformers, and all that is
// held was predicted.
func TestCutForward(t *testing.T) {
	for _, dir := range folders(t) {
		layers := []int{1}
		if filepath.Base(dir) == "gemma3" {
			layers = []int{0, 1, 2, 3}
		}
		for _, n := range layers {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(dir), n), func(t *testing.T) {
				t.Parallel()
				want := expected(t, dir)
				names, take := nodesOf(want)
				m := openCut(t, dir, Offload{Cut: true, Layers: n})
				sizes := want["ids"].Type.Sizes()
				p, err := m.Forward(sizes[0], sizes[1], take)
				if err != nil {
					t.Fatal(err)
				}
				if err := m.Load(context.Background()); err != nil {
					t.Fatal(err)
				}
				outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{"ids": want["ids"]})
				if err != nil {
					t.Fatal(err)
				}
				for i, name := range names {
					if d := worst(outs[i].Float64s(), want[name].Float64s()); !(d < 2e-5) {
						t.Errorf("%s differs by %.2g", name, d)
					}
				}
				if front := m.HostBytes(); front == 0 || m.Bytes() != m.PeakBytes() || m.host.bytes() != front {
					t.Errorf("predicted %d and %d bytes; %d and %d are held", m.PeakBytes(), front, m.Bytes(), m.host.bytes())
				}
			})
		}
	}
}

// TestCutGreedy: a model that is cut continues a prompt as transformers does, alone and
// beside others whose caches are moved.
func TestCutGreedy(t *testing.T) {
	ctx := context.Background()
	for _, name := range []string{"llama", "deepseek_v3", "qwen3_moe"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(golden, "arch", name)
			want, err := expected(t, dir)["greedy"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			m := openCut(t, dir, Offload{Cut: true, Layers: 1})
			generator(t, m, 1, 8)
			g, err := m.Generator()
			if err != nil {
				t.Fatal(err)
			}
			s, err := sampler.New(g.Vocab(), sampler.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if err := g.Start(ctx, want[:8], 32); err != nil {
				t.Fatal(err)
			}
			ids := slices.Clone(want[:8])
			for len(ids) < len(want) {
				id, err := g.Next(s)
				if err == nil {
					err = g.Push(ctx, id)
				}
				if err != nil {
					t.Fatal(err)
				}
				ids = append(ids, id)
			}
			if !slices.Equal(ids, want) {
				t.Errorf("%v, want %v", ids, want)
			}
			several := openCut(t, dir, Offload{Cut: true, Layers: 1})
			n := len(want) - 8
			for row, got := range greedyBatch(t, several, [][]int32{want[:8], want[:3], want[:8]}, []int{n, 2, n}, 2) {
				if row != 1 && !slices.Equal(got, want[8:]) {
					t.Errorf("row %d: %v, want %v", row, got, want[8:])
				}
			}
		})
	}
}

// TestShrink: as few layers are left on the host as are needed, and the plans say where
// each lies.
func TestShrink(t *testing.T) {
	m := openCut(t, filepath.Join(golden, "arch", "gemma3"), Offload{Auto: true})
	if _, err := m.Forward(1, 4, nil); err != nil {
		t.Fatal(err)
	}
	layers, host, cut := m.Layers()
	if layers < 3 || host != 0 || cut || !m.Offloads() {
		t.Fatalf("%d layers, %d on the host, cut %v", layers, host, cut)
	}
	before := m.PeakBytes()
	for want := range layers + 1 {
		if ok, err := m.Shrink(1); !ok || err != nil {
			t.Fatal(ok, err)
		}
		_, host, _ := m.Layers()
		var on int
		var held int64
		for _, l := range m.Placed() {
			if l.Host && l.Name != "" {
				on++
			}
			if !l.Host {
				held += l.Weights + l.Cache
			}
		}
		if host != want || on != want || held != m.StateBytes(ir.Weight)+m.StateBytes(ir.Cache) || want > 0 && m.PeakBytes() >= before { // a table that both sides read gains nothing
			t.Errorf("%d layers are on the host, %d listed there, want %d; the device holds %d bytes, before %d", host, on, want, m.PeakBytes(), before)
		}
		before = m.PeakBytes()
	}
	if ok, err := m.Shrink(1); ok || err != nil {
		t.Error("a layer more than there are", err)
	}
}

// What can't be cut is told where the document asks for it.
func TestUncut(t *testing.T) {
	at := ir.Pos{File: "doc.cue", Line: 3, Col: 5, Path: "models.test.offload"}
	m := openCut(t, filepath.Join(golden, "arch", "llama"), Offload{Cut: true, Layers: 40, At: at})
	_, err := m.Forward(1, 4, nil)
	if err == nil || err.Error() != "doc.cue:3:5: models.test.offload: offload is 40, and the model has a stack of 2 layers" {
		t.Error(err)
	}
	flat := openCut(t, filepath.Join(golden, "pictures", "autoencoder_tiny", "model"), Offload{Cut: true, At: at})
	_, err = flat.Call(map[string]int{"batch": 1, "height": 8, "width": 8}, []string{"latents"}, nil, "sample")
	if err == nil || err.Error() != "doc.cue:3:5: models.test.offload: offload can't be: the model has no stack of layers, as op.#Repeat makes" {
		t.Error(err)
	}
}

// TestCutCalls: models of pictures and sound give the numbers of diffusers and transformers, cut at every place; of a
// U-Net, what skips over the cut crosses it, too, and of an encoder and a decoder both what was read and what was written.
func TestCutCalls(t *testing.T) {
	for name, layers := range map[string]int{"pictures/unet_condition": 2, "pictures/dit": 2, "pictures/sd3": 2, "speech/whisper": 4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(golden, name)
			inputs, wanted := map[string]tensorfile.Tensor{}, map[string]tensorfile.Tensor{}
			for key, v := range tensortest.Read(t, filepath.Join(dir, "values.safetensors")) {
				if name, ok := strings.CutPrefix(key, "in."); ok {
					inputs[name] = v
				} else if name, ok := strings.CutPrefix(key, "out."); ok {
					wanted[name] = v
				}
			}
			for n := range layers + 1 {
				m := openCut(t, filepath.Join(dir, "model"), Offload{Cut: true, Layers: n})
				outs := callOpened(t, m, inputs, nil)
				if len(outs) != len(wanted) || len(outs) == 0 {
					t.Fatalf("%d layers: gives %d outputs, want %d", n, len(outs), len(wanted))
				}
				for _, out := range outs {
					if d := worst(out.Float64s(), wanted[out.Name].Float64s()); !(d < 1e-4) {
						t.Errorf("%d layers: %s differs by %.2g", n, out.Name, d)
					}
				}
			}
		})
	}
}
