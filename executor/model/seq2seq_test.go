package model

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"pipe.dev/compiler/plan"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/internal/measured"
)

// seq2seq are the models in testdata/golden/seq2seq.
func seq2seq(t *testing.T) []string {
	t.Helper()
	list, err := filepath.Glob("../../testdata/golden/seq2seq/*/config.json")
	if err != nil || len(list) < 2 {
		t.Fatalf("models of testdata/golden/seq2seq: %v, %v", list, err)
	}
	for i, f := range list {
		list[i] = filepath.Dir(f)
	}
	return list
}

// An encoder and a decoder give, of sources of two lengths in one call, the logits
// and hidden states of transformers in float64.
func TestSourceForward(t *testing.T) {
	for _, dir := range seq2seq(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := expected(t, dir)
			m, _ := open(t, dir, 2, "")
			names, take := []string{"logits"}, []string(nil)
			for _, name := range []string{"encoder.block.1", "encoder.final_layer_norm", "decoder.block.0", "decoder.block.1", "decoder.final_layer_norm"} {
				if _, ok := want[name]; ok {
					names, take = append(names, name), append(take, name)
				}
			}
			if len(take) < 4 {
				t.Fatalf("only %v are expected", take)
			}
			ids, text := want["ids"].Type.Sizes(), want["decoder_ids"].Type.Sizes()
			p, err := m.Call(map[string]int{"batch": ids[0], "source": ids[1], "seq": text[1]}, nil, take)
			if err != nil {
				t.Fatal(err)
			}
			if err := m.Load(context.Background()); err != nil {
				t.Fatal(err)
			}
			outs, err := m.Run(context.Background(), p, map[string]tensorfile.Tensor{
				"ids": want["ids"], "lengths": want["lengths"], "decoder_ids": want["decoder_ids"]})
			if err != nil {
				t.Fatal(err)
			}
			most := 0.0
			for i, name := range names {
				got, w := outs[i].Float64s(), want[name].Float64s()
				if len(got) < len(w) || len(w) == 0 {
					t.Fatalf("%s has %d elements, want %d", name, len(got), len(w))
				}
				d := worst(got, w)
				if !(d < 1e-4) { // torch's own f32 differs by 3.5e-5
					t.Errorf("%s differs by %.2g", name, d)
				}
				most = max(most, d)
			}
			for _, check := range []string{"forward", "padded"} { // one row is whole, one is filled up
				measured.Note(t, golden, check, filepath.Base(dir), most)
			}
		})
	}
}

// readers asks for what makes text of sources, in a folder without a tokenizer.
func readers(t *testing.T, m *Model, room int, encode ...int) {
	t.Helper()
	m.context = room
	p, err := m.stepPlan(1, 1, room)
	if err != nil {
		t.Fatal(err)
	}
	m.text = []*plan.Plan{p}
	m.want(p)
	for _, n := range encode {
		p, err := m.plan(plan.Entry{Name: "encode", Cache: m.opt.Cache, Encode: true}, map[string]int{"batch": 1, "source": n, "room": room})
		if err != nil {
			t.Fatal(err)
		}
		m.sources = append(m.sources, p)
	}
	m.want(m.sources...)
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Text is made of sources token by token, with keys and values that are computed
// once, as transformers makes it without; the bits are the same however much
// room there is and however many threads.
func TestSourceGreedy(t *testing.T) {
	ctx := context.Background()
	for _, dir := range seq2seq(t) {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			want := expected(t, dir)
			greedy, err := want["greedy"].Int32s()
			if err != nil {
				t.Fatal(err)
			}
			sources, lengths := sourcesOf(t, want)
			n := len(greedy) / len(lengths)
			var first []uint32
			for _, way := range []struct {
				threads, room int
				encode        []int
			}{{1, 160, []int{160}}, {3, 200, []int{32, 200}}} {
				m, be := open(t, dir, way.threads, "")
				readers(t, m, way.room, way.encode...)
				if m.Bytes() != m.PeakBytes() || be.Allocated() > m.PeakBytes() {
					t.Errorf("predicted %d bytes; holds %d, %d allocated", m.PeakBytes(), m.Bytes(), be.Allocated())
				}
				g, err := m.Generator()
				if err != nil {
					t.Fatal(err)
				}
				var bits []uint32
				for row, source := range sources {
					var ids []int32
					r := decode.Request{Source: source, Prompt: m.Start(), MaxTokens: n - 1, Decoder: silent{}}
					for p, err := range g.Text(ctx, r) {
						if err != nil {
							t.Fatal(err)
						}
						ids = append(ids, p.ID)
						bits = append(bits, bitsOf(g.Logits())...)
					}
					if w := greedy[row*n+1 : (row+1)*n]; !slices.Equal(ids, w) {
						t.Errorf("threads %d, row %d: got %v, want %v", way.threads, row, ids, w)
					}
				}
				if first == nil {
					first = bits
				}
				if !slices.Equal(bits, first) {
					t.Errorf("threads %d, room %d: other bits than with one thread", way.threads, way.room)
				}
			}
		})
	}
}

// silent is a decoder of no text.
type silent struct{}

func (silent) Push(int32) (string, error) { return "", nil }
func (silent) Flush() string              { return "" }

// sourcesOf are the rows of "ids" without what fills them up.
func sourcesOf(t *testing.T, want map[string]tensorfile.Tensor) ([][]int32, []int32) {
	t.Helper()
	ids, err := want["ids"].Int32s()
	if err != nil {
		t.Fatal(err)
	}
	lengths, err := want["lengths"].Int32s()
	if err != nil {
		t.Fatal(err)
	}
	width := len(ids) / len(lengths)
	var rows [][]int32
	for i, n := range lengths {
		rows = append(rows, ids[i*width:][:n])
	}
	return rows, lengths
}

// beamCase is what transformers finds with some settings.
type beamCase struct {
	Row           int
	Beams         int     `json:"num_beams"`
	LengthPenalty float64 `json:"length_penalty"`
	EarlyStopping string  `json:"early_stopping"`
	MaxTokens     int     `json:"max_tokens"`
	End           int32
	IDs           [][]int32
	Scores        []float64
}

func beamCases(t *testing.T, file string) []beamCase {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var list struct{ Cases []beamCase }
	if err := json.Unmarshal(data, &list); err != nil || len(list.Cases) < 10 {
		t.Fatalf("%s: %d cases, %v", file, len(list.Cases), err)
	}
	return list.Cases
}

// Beam search finds what transformers finds, with the same scores, whatever the
// number of threads.
func TestBeams(t *testing.T) {
	golden := golden + "/"
	for _, c := range []struct{ dir, cases string }{
		{"seq2seq/t5", "seq2seq/t5/beams.json"}, {"seq2seq/t5_v11", "seq2seq/t5_v11/beams.json"},
		{"arch/gpt2", "seq2seq/gpt2.beams.json"}, {"arch/mistral", "seq2seq/mistral.beams.json"},
	} {
		t.Run(filepath.Base(c.dir), func(t *testing.T) {
			want := expected(t, golden+c.dir)
			byBeams := map[int][]beamCase{}
			for _, b := range beamCases(t, golden+c.cases) {
				byBeams[b.Beams] = append(byBeams[b.Beams], b)
			}
			for beams, cases := range byBeams {
				m, _ := open(t, golden+c.dir, beams, "")
				m.opt.Context = 64
				if m.Start() != nil {
					m.opt.Context = 160
				}
				if err := m.planBeams(beams, 7+20); err != nil {
					t.Fatal(err)
				}
				if err := m.Load(context.Background()); err != nil {
					t.Fatal(err)
				}
				if m.Bytes() != m.PeakBytes() {
					t.Errorf("predicted %d bytes; holds %d", m.PeakBytes(), m.Bytes())
				}
				for _, b := range cases {
					checkBeams(t, m, beamRequest(t, m, want, b), b)
				}
			}
		})
	}
}

// beamRequest asks for what a case does: text of a source, or what follows the
// first 7 ids of a row.
func beamRequest(t *testing.T, m *Model, want map[string]tensorfile.Tensor, b beamCase) decode.Request {
	t.Helper()
	r := decode.Request{MaxTokens: b.MaxTokens, End: []int32{b.End}, Prompt: m.Start()}
	if r.Prompt != nil {
		sources, _ := sourcesOf(t, want)
		r.Source = sources[b.Row]
		return r
	}
	ids, err := want["ids"].Int32s()
	if err != nil {
		t.Fatal(err)
	}
	r.Prompt = ids[b.Row*24:][:7]
	return r
}

func checkBeams(t *testing.T, m *Model, r decode.Request, b beamCase) {
	t.Helper()
	stop := map[string]decode.BeamStop{"false": decode.StopHeuristic, "true": decode.StopFirst, "never": decode.StopNever}[b.EarlyStopping]
	s, err := m.Search(decode.BeamOptions{Beams: b.Beams, LengthPenalty: b.LengthPenalty, Stop: stop})
	if err != nil {
		t.Fatal(err)
	}
	found, err := s.Search(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if len(found) != len(b.IDs) {
		t.Fatalf("%+v: %d texts are found, want %d", b, len(found), len(b.IDs))
	}
	for i, f := range found {
		if !slices.Equal(f.IDs, b.IDs[i]) || math.Abs(f.Score-b.Scores[i]) > 1e-4*math.Max(1, math.Abs(b.Scores[i])) {
			t.Errorf("beams %d, penalty %v, early %s: text %d is %v with score %.6f, want %v with %.6f",
				b.Beams, b.LengthPenalty, b.EarlyStopping, i, f.IDs, f.Score, b.IDs[i], b.Scores[i])
		}
	}
}
