package data

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strings"
	"testing"
)

// corpus makes a source of n documents of text of lengths from 0 to most, each of another letter run, so that every
// document and every place in it can be told from its tokens.
func corpus(t testing.TB, n, most int, seed uint64) (Attr, []string) {
	t.Helper()
	var file strings.Builder
	var docs []string
	for i := range n {
		var text strings.Builder
		for k := range below(int64(most+1), seed, uint64(i)) {
			text.WriteByte(byte('0' + random(seed+uint64(i), uint64(k))%70))
		}
		docs = append(docs, text.String())
		line, err := json.Marshal(map[string]string{"text": text.String()})
		if err != nil {
			t.Fatal(err)
		}
		file.Write(append(line, '\n'))
	}
	return defaults(write(t, "corpus.jsonl", file.String())), docs
}

// clone copies a batch, to compare it later.
func clone(b *Batch) Batch {
	c := *b
	c.IDs, c.Targets, c.Weights = append([]int32(nil), b.IDs...), append([]int32(nil), b.Targets...), append([]float32(nil), b.Weights...)
	c.Segments, c.Positions = append([]int32(nil), b.Segments...), append([]int32(nil), b.Positions...)
	return c
}

// all takes up to n batches.
func all(t testing.TB, l *Loader, n int) (out []Batch) {
	t.Helper()
	var b Batch
	for range n {
		err := l.Next(&b)
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, clone(&b))
	}
	return out
}

// variants are options of every kind.
func variants() map[string]BatchOptions {
	m := map[string]BatchOptions{}
	for _, rows := range []string{"window", "pad", "pack", "bucket"} {
		for _, order := range []string{"shuffle", "random", "file"} {
			o := defaultBatches(4, 24)
			o.Rows, o.Order, o.Seed, o.Epochs = rows, order, 3, 2
			if rows == "bucket" {
				o.Buckets = []int{6, 12, 24}
			}
			m[rows+" "+order] = o
		}
	}
	return m
}

// TestResume goes on from every batch of every kind of options, with the position through JSON, with and without
// prefetching.
func TestResume(t *testing.T) {
	a, _ := corpus(t, 25, 60, 1)
	b, _ := corpus(t, 10, 30, 2)
	b.Weight = 0.4
	d := Mix(openSet(t, a, Options{}), openSet(t, b, Options{}))
	for name, o := range variants() {
		want := all(t, loader(t, d, o, Position{}), 1000)
		if len(want) < 10 || len(want) == 1000 {
			t.Fatalf("%s: %d batches", name, len(want))
		}
		if n, err := d.Count(o, 1000); n != int64(len(want)) || err != nil {
			t.Fatalf("%s: Count gives %d, %v, want %d", name, n, err, len(want))
		}
		o.Prefetch = 3
		l := loader(t, d, o, Position{})
		for k := range len(want) + 1 {
			at := l.Position()
			text, err := json.Marshal(at)
			if err != nil {
				t.Fatal(err)
			}
			var from Position
			if err := json.Unmarshal(text, &from); err != nil {
				t.Fatal(err)
			}
			if n, err := d.Count(o, int64(k)); n != int64(k) || err != nil {
				t.Fatalf("%s: Count gives %d, %v, want %d", name, n, err, k)
			}
			o.Prefetch = k % 3
			rest := loader(t, d, o, from)
			if got := all(t, rest, 1000); !reflect.DeepEqual(got, want[k:]) && len(got)+len(want[k:]) > 0 {
				t.Fatalf("%s: from %s the %d batches differ from the last %d", name, text, len(got), len(want)-k)
			}
			var b Batch
			if err := l.Next(&b); err != nil && k < len(want) || k < len(want) && !reflect.DeepEqual(clone(&b), want[k]) {
				t.Fatalf("%s: prefetched batch %d differs, %v", name, k, err)
			}
		}
	}
}

// TestOncePerEpoch counts each token of each document: as a target it comes once an epoch, but for the first.
func TestOncePerEpoch(t *testing.T) {
	a, docs := corpus(t, 60, 90, 5)
	d := openSet(t, a, Options{})
	for name, o := range variants() {
		if o.Order == "random" || o.Rows == "window" {
			continue
		}
		got := map[string]int{} // by what comes before a target in its document, as far as the row shows, and itself
		want := map[string]int{}
		for _, text := range docs {
			ids, _ := bytesEncoder{}.Encode(nil, text, true)
			for at := 0; at+1 < len(ids); at += o.Seq { // pieces of documents longer than a row
				for i := at + 1; i < len(ids) && i <= at+o.Seq; i++ {
					want[fmt.Sprint(ids[at:i+1])] += o.Epochs
				}
			}
		}
		used := 0
		for _, b := range all(t, loader(t, d, o, Position{}), 10_000) {
			for i, w := range b.Weights {
				if b.Segments[i] < 0 {
					if w != 0 {
						t.Fatalf("%s: weight %v in padding", name, w)
					}
					continue
				}
				used++
				from := i - int(b.Positions[i])
				if from < 0 || b.Segments[from] != b.Segments[i] || b.Positions[from] != 0 || w != 1 {
					t.Fatalf("%s: slot %d: position %d of segment %d, weight %v", name, i, b.Positions[i], b.Segments[i], w)
				}
				got[fmt.Sprint(append(append([]int32{}, b.IDs[from:i+1]...), b.Targets[i]))]++
			}
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %d kinds of targets in place of %d, %d in all", name, len(got), len(want), used)
		}
	}
}

// TestWindowsOnce sees each place of the stream once an epoch, and borders of documents neither seen across nor trained.
func TestWindowsOnce(t *testing.T) {
	a, _ := corpus(t, 60, 90, 6)
	d := openSet(t, a, Options{})
	p := &d.parts[0]
	stream := make([]uint32, p.foot.Tokens)
	p.read(stream, 0)
	for _, isolate := range []bool{true, false} {
		o := defaultBatches(4, 24)
		o.Rows, o.Epochs, o.Isolate, o.Order = "window", 1, isolate, "file"
		at, trained := 0, 0
		for _, b := range all(t, loader(t, d, o, Position{}), 10_000) {
			for i := range b.IDs {
				if b.Segments[i] < 0 {
					continue
				}
				border := stream[at+1] == 256
				switch {
				case b.IDs[i] != int32(stream[at]) || b.Targets[i] != int32(stream[at+1]):
					t.Fatalf("isolate %v: place %d: %d then %d", isolate, at, b.IDs[i], b.Targets[i])
				case isolate && (b.Weights[i] != 0) == border, !isolate && b.Weights[i] != 1:
					t.Fatalf("isolate %v: place %d: weight %v, border %v", isolate, at, b.Weights[i], border)
				case i%o.Seq > 0 && isolate && (b.Segments[i] != b.Segments[i-1]) != (stream[at] == 256):
					t.Fatalf("place %d: segment %d after %d", at, b.Segments[i], b.Segments[i-1])
				case isolate && stream[at] == 256 && b.Positions[i] != 0:
					t.Fatalf("place %d: position %d where a document begins", at, b.Positions[i])
				case !isolate && (b.Segments[i] != 0 || int(b.Positions[i]) != i%o.Seq):
					t.Fatalf("place %d: segment %d, position %d", at, b.Segments[i], b.Positions[i])
				}
				at++
				trained += int(b.Weights[i])
			}
		}
		if at != len(stream)-1 {
			t.Errorf("isolate %v: %d places of %d", isolate, at, len(stream)-1)
		}
		if want := len(stream) - int(p.foot.Documents); isolate && trained != want {
			t.Errorf("%d targets are trained, want %d", trained, want)
		}
	}
}

// TestPacking looks for documents that share a segment or a row that is split without need, and measures the padding.
func TestPacking(t *testing.T) {
	a, docs := corpus(t, 400, 40, 7)
	d := openSet(t, a, Options{})
	whole := map[string]bool{}
	for _, s := range docs {
		whole["<s>"+s+"</s>"] = true
	}
	o := defaultBatches(8, 128)
	o.Epochs = 1
	used, slots, seen := 0, 0, 0
	for _, b := range all(t, loader(t, d, o, Position{}), 1000) {
		used, slots = used+b.Used, slots+len(b.IDs)
		for row := range b.Rows {
			r, err := b.Text(row, bytesEncoder{})
			if err != nil {
				t.Fatal(err)
			}
			for _, spans := range r.Documents {
				var text string
				for _, s := range spans {
					text += s.Text
				}
				if seen++; !whole[text] {
					t.Errorf("segment %q is no document", text)
				}
			}
		}
	}
	if seen != len(docs) {
		t.Errorf("%d documents, want %d", seen, len(docs))
	}
	if share := float64(used) / float64(slots); share < 0.85 {
		t.Errorf("%.3f of the slots are used", share)
	}
}

// TestMixing holds the tokens of each source against its weight after every batch.
func TestMixing(t *testing.T) {
	weights := []float64{1, 3, 0.5}
	var sets []*Dataset
	for i, w := range weights {
		a, _ := corpus(t, 30+20*i, 50, uint64(10+i))
		a.Weight = w
		sets = append(sets, openSet(t, a, Options{}))
	}
	d := Mix(sets...)
	for name, o := range variants() {
		o.Epochs = 0
		l := loader(t, d, o, Position{})
		var b Batch
		for range 400 {
			if err := l.Next(&b); err != nil {
				t.Fatal(err)
			}
			for i, c := range l.now.Sources {
				for k, e := range l.now.Sources {
					// 51 is the longest document.
					if gap := math.Abs(float64(c.Slots)/weights[i] - float64(e.Slots)/weights[k]); gap > 51/0.5 {
						t.Fatalf("%s: after %d batches sources %d and %d gave %d and %d tokens", name, l.now.Step, i, k, c.Slots, e.Slots)
					}
				}
			}
		}
	}
}

// TestRanks puts the blocks of all processes together.
func TestRanks(t *testing.T) {
	a, _ := corpus(t, 60, 60, 8)
	d := openSet(t, a, Options{})
	for name, o := range variants() {
		want := all(t, loader(t, d, o, Position{}), 1000)
		o.World = 2
		var blocks [2][]Batch
		for o.Rank = range 2 {
			blocks[o.Rank] = all(t, loader(t, d, o, Position{}), 1000)
		}
		for k, b := range want {
			x, y := blocks[0][k], blocks[1][k]
			if !reflect.DeepEqual(append(x.IDs, y.IDs...), b.IDs) || !reflect.DeepEqual(append(x.Segments, y.Segments...), b.Segments) ||
				x.Used+y.Used != b.Used || x.Trained+y.Trained != b.Trained {
				t.Fatalf("%s: batch %d differs", name, k)
			}
		}
	}
}

// TestRandomWindows: offsets are uniform, and another seed gives others.
func TestRandomWindows(t *testing.T) {
	text := strings.Repeat("abcdefgh", 13)[:100]
	a := defaults(write(t, "a.txt", text))
	a.Special = false
	d := openSet(t, a, Options{})
	o := defaultBatches(10, 20)
	o.Rows, o.Order, o.Isolate = "window", "random", false
	l := loader(t, d, o, Position{})
	counts := make([]int, 80) // nanoGPT draws from [0, tokens - block)
	const draws = 40_000
	for range draws / o.Batch {
		if !l.plan.plan() {
			t.Fatal("ended")
		}
		for _, q := range l.plan.rows {
			counts[q.At]++
		}
	}
	if x := chiSquared(draws, counts); x > 124 { // 79 degrees of freedom: p = 0.001
		t.Errorf("chi squared %.1f, counts %v", x, counts)
	}
	first := all(t, loader(t, d, o, Position{}), 1)
	o.Seed = 1
	if reflect.DeepEqual(first, all(t, loader(t, d, o, Position{}), 1)) {
		t.Error("seeds 0 and 1 give the same batch")
	}
}

func TestPositionOfOther(t *testing.T) {
	a, _ := corpus(t, 40, 60, 1)
	d := openSet(t, a, Options{})
	o := defaultBatches(4, 24)
	l := loader(t, d, o, Position{})
	all(t, l, 3)
	at := l.Position()
	other := o
	other.Seed++
	if _, err := d.Batches(other, at); err == nil || !strings.Contains(err.Error(), "after 3 batches belongs to other data or options") {
		t.Errorf("%v", err)
	}
	at.Sources[0].Draws = -1
	if _, err := d.Batches(o, at); err == nil || !strings.Contains(err.Error(), "is damaged: source 0 is at draw -1") {
		t.Errorf("%v", err)
	}
}

func TestNoAllocations(t *testing.T) {
	a, _ := corpus(t, 200, 60, 1)
	a.Files[0] = write(t, "again.jsonl", string(mustRead(t, a.Files[0])))
	d, err := Open(a, bytesEncoder{}, Options{Cache: t.TempDir(), Identity: "bytes"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name, o := range variants() {
		for o.Prefetch = range 3 {
			o.Epochs = 0
			l := loader(t, d, o, Position{})
			var b Batch
			for range 300 {
				if err := l.Next(&b); err != nil {
					t.Fatal(err)
				}
			}
			if n := testing.AllocsPerRun(100, func() {
				if err := l.Next(&b); err != nil {
					t.Error(err)
				}
			}); n != 0 {
				t.Errorf("%s, prefetch %d: %v allocations", name, o.Prefetch, n)
			}
			l.Close()
		}
	}
}
