package model

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pipe.dev/executor/decode"
	"pipe.dev/executor/tensorfile"
)

// TestCutSource cuts an encoder and a decoder at every place: logits are those of transformers, and so is the text
// that is made of sources, whose keys and values lie where the layers that read them do. All that is held was predicted.
func TestCutSource(t *testing.T) {
	for _, dir := range seq2seq(t) {
		depth := map[string]int{"t5": 5, "t5_v11": 4}[filepath.Base(dir)]
		for layers := range depth + 1 {
			t.Run(fmt.Sprintf("%s/%d", filepath.Base(dir), layers), func(t *testing.T) {
				t.Parallel()
				want := expected(t, dir)
				m := openCut(t, dir, Offload{Cut: true, Layers: layers})
				ids, text := want["ids"].Type.Sizes(), want["decoder_ids"].Type.Sizes()
				p, err := m.Call(map[string]int{"batch": ids[0], "source": ids[1], "seq": text[1]}, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				readers(t, m, 160, 32, 160)
				outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{
					"ids": want["ids"], "lengths": want["lengths"], "decoder_ids": want["decoder_ids"]})
				if err != nil {
					t.Fatal(err)
				}
				if d := worst(outs[0].Float64s(), want["logits"].Float64s()); !(d < 1e-4) {
					t.Errorf("logits differ by %.2g", d)
				}
				greedySources(t, m, want)
				if front := m.HostBytes(); front == 0 || m.Bytes() != m.PeakBytes() || m.host.bytes() != front {
					t.Errorf("predicted %d and %d bytes; %d and %d are held", m.PeakBytes(), front, m.Bytes(), m.host.bytes())
				}
				placedSource(t, m, layers)
			})
		}
	}
}

// greedySources makes text of the sources of a folder, as transformers does.
func greedySources(t *testing.T, m *Model, want map[string]tensorfile.Tensor) {
	t.Helper()
	greedy, err := want["greedy"].Int32s()
	if err != nil {
		t.Fatal(err)
	}
	g, err := m.Generator()
	if err != nil {
		t.Fatal(err)
	}
	sources, _ := sourcesOf(t, want)
	n := len(greedy) / len(sources)
	for row, source := range sources {
		var ids []int32
		r := decode.Request{Source: source, Prompt: m.Start(), MaxTokens: n - 1, Decoder: silent{}}
		for p, err := range g.Text(context.Background(), r) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, p.ID)
		}
		if w := greedy[row*n+1 : (row+1)*n]; !slices.Equal(ids, w) {
			t.Errorf("row %d: got %v, want %v", row, ids, w)
		}
	}
}

// placedSource: layers are listed as the model runs, the encoder's first, and what a layer remembers of a source
// lies with the layer.
func placedSource(t *testing.T, m *Model, layers int) {
	t.Helper()
	var names []string
	for _, l := range m.Placed() {
		if l.Name == "" {
			continue
		}
		if names = append(names, l.Name); l.Host != (len(names) <= layers) {
			t.Errorf("%s is layer %d; host %v, and %d are left there", l.Name, len(names), l.Host, layers)
		}
		if decoder := strings.HasPrefix(l.Name, "decoder."); decoder != (l.Cache > 0) || l.Weights == 0 {
			t.Errorf("%s holds %d bytes of weights and %d of caches", l.Name, l.Weights, l.Cache)
		}
	}
	want := []string{"encoder.block.0", "encoder.block.1", "encoder.block.2", "decoder.block.0", "decoder.block.1"}
	if strings.HasSuffix(m.Dir(), "t5_v11") { // which has a layer less
		want = slices.Delete(want, 2, 3)
	}
	if !slices.Equal(names, want) {
		t.Errorf("layers are %v, want %v", names, want)
	}
}

// TestShrinkSource: to make a run fit, the encoder's layers are the first that stay on the host, and no more than are needed.
func TestShrinkSource(t *testing.T) {
	dir := seq2seq(t)[0]
	m := openCut(t, dir, Offload{Auto: true})
	readers(t, m, 160, 32, 160)
	if err := m.Release(); err != nil {
		t.Fatal(err)
	}
	before := m.PeakBytes()
	for want := range 6 {
		if ok, err := m.Shrink(1); !ok || err != nil {
			t.Fatal(ok, err)
		}
		layers, host, _ := m.Layers()
		if layers != 5 || host != want || want > 0 && m.PeakBytes() >= before {
			t.Errorf("%d of %d layers are on the host, want %d; the device holds %d bytes, before %d", host, layers, want, m.PeakBytes(), before)
		}
		before = m.PeakBytes()
		placedSource(t, m, want)
		if err := m.Load(context.Background()); err != nil {
			t.Fatal(err)
		}
		if want == 2 || want == 5 {
			greedySources(t, m, expected(t, dir))
		}
		if err := m.Release(); err != nil {
			t.Fatal(err)
		}
	}
	if ok, err := m.Shrink(1); ok || err != nil {
		t.Error("a layer more than there are", err)
	}
}

// TestCutBeams: a search with beams, whose caches are moved on both sides, finds what it finds of the whole model.
func TestCutBeams(t *testing.T) {
	dir := filepath.Join(golden, "seq2seq", "t5")
	want := expected(t, dir)
	cases := slices.DeleteFunc(beamCases(t, filepath.Join(dir, "beams.json")), func(b beamCase) bool { return b.Beams != 3 })
	if len(cases) == 0 {
		t.Fatal("no case of 3 beams")
	}
	m := openCut(t, dir, Offload{Cut: true, Layers: 4})
	m.opt.Context = 160
	if err := m.planBeams(3, 7+20); err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, b := range cases {
		checkBeams(t, m, beamRequest(t, m, want, b), b)
	}
}
