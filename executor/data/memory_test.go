package data

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// large writes about size bytes of text, as text or JSONL.
func large(t testing.TB, name string, size int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := bufio.NewWriter(f)
	words := strings.Fields("the quick brown fox jumps over lazy dogs while seven wizards box with a pen")
	for n, i := 0, uint64(0); n < size; i++ {
		var line strings.Builder
		for k := range below(30, 1, i) {
			line.WriteString(words[random(i, uint64(k))%uint64(len(words))] + " ")
		}
		text := line.String() + "\n"
		if strings.HasSuffix(name, ".jsonl") {
			text = fmt.Sprintf("{\"id\": %d, \"text\": %q}\n", i, line.String())
		}
		n += len(text)
		if _, err := w.WriteString(text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

// resident is a number of kB from /proc/self/status.
func resident(t testing.TB, name string) (kB int) {
	t.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skipf("no memory statistics: %v", err)
	}
	_, rest, _ := strings.Cut(string(b), name+":")
	if _, err := fmt.Sscan(rest, &kB); err != nil {
		t.Skipf("no %s: %v", name, err)
	}
	return kB
}

// TestMemory encodes and reads files much larger than the memory it may take, which is as much for any size.
func TestMemory(t *testing.T) {
	const size, most = 64 << 20, 96 << 20 // the tokens have 110 and 128 MB
	for _, name := range []string{"a.txt", "a.jsonl"} {
		a := defaults(large(t, name, size))
		runtime.GC()
		before, peak := resident(t, "VmRSS"), 0
		done := make(chan int)
		stop := make(chan struct{})
		go func() {
			for {
				peak = max(peak, resident(t, "VmRSS"))
				select {
				case <-stop:
					done <- peak
					return
				case <-time.After(time.Millisecond):
				}
			}
		}()
		readBatches(t, a, 300)
		close(stop)
		if grown := (<-done - before) << 10; grown > most {
			t.Errorf("%s: %d MB for a file of %d MB", name, grown>>20, size>>20)
		} else {
			t.Logf("%s: %d MB for a file of %d MB", name, grown>>20, size>>20)
		}
	}
}

// readBatches encodes a source and takes batches.
func readBatches(t testing.TB, a Attr, steps int) {
	d, err := Open(a, bytesEncoder{}, Options{Cache: t.TempDir(), Identity: "bytes"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, rows := range []string{"window", "pack"} {
		o := defaultBatches(8, 1024)
		o.Rows, o.Prefetch = rows, 2
		l := loader(t, d, o, Position{})
		var b Batch
		for range steps {
			if err := l.Next(&b); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, name := range []string{"a.txt", "a.jsonl"} {
		b.Run(name, func(b *testing.B) {
			a := defaults(large(b, name, 32<<20))
			tokens := int64(0)
			for b.Loop() {
				d, err := Open(a, bytesEncoder{}, Options{Cache: b.TempDir(), Identity: "bytes"})
				if err != nil {
					b.Fatal(err)
				}
				tokens += d.Summary().Tokens
				d.Close()
			}
			b.ReportMetric(float64(tokens)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
		})
	}
}

func BenchmarkNext(b *testing.B) {
	a := defaults(large(b, "a.jsonl", 32<<20))
	d, err := Open(a, bytesEncoder{}, Options{Cache: b.TempDir(), Identity: "bytes"})
	if err != nil {
		b.Fatal(err)
	}
	defer d.Close()
	for _, rows := range []string{"window", "pad", "pack", "bucket"} {
		b.Run(rows, func(b *testing.B) {
			o := defaultBatches(8, 1024)
			o.Rows, o.Buckets = rows, []int{64, 128, 1024}
			l := loader(b, d, o, Position{})
			var batch Batch
			used := 0
			for b.Loop() {
				if err := l.Next(&batch); err != nil {
					b.Fatal(err)
				}
				used += batch.Used
			}
			b.ReportAllocs()
			b.ReportMetric(float64(used)/b.Elapsed().Seconds()/1e6, "Mtokens/s")
		})
	}
}
