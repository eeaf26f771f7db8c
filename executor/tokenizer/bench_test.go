//go:build unix

package tokenizer

import (
	"slices"
	"syscall"
	"testing"
	"time"
)

func BenchmarkEncode(b *testing.B) {
	text := string(readFile(b, sharedFile(b, "train", "tinyshakespeare.txt")))
	for _, name := range slices.Concat(sharedNames, []string{"bert", "stories260K"}) {
		b.Run(name, func(b *testing.B) {
			tok := benchTokenizer(b, name)
			ids, err := tok.Encode(nil, text, false)
			if err != nil {
				b.Fatal(err)
			}
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				if ids, err = tok.Encode(ids[:0], text, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSpeed measures processor time, for comparisons in turns with others (benchmarks/speed_tokenizers.py).
func BenchmarkSpeed(b *testing.B) {
	text := string(readFile(b, sharedFile(b, "train", "tinyshakespeare.txt")))
	for _, name := range slices.Concat(sharedNames, []string{"bert"}) {
		tok := benchTokenizer(b, name)
		ids, err := tok.Encode(nil, text, false)
		if err != nil {
			b.Fatal(err)
		}
		for what, f := range map[string]func() error{
			"first": func() (err error) {
				forget(tok)
				ids, err = tok.Encode(ids[:0], text, false)
				return err
			},
			"encode": func() (err error) {
				ids, err = tok.Encode(ids[:0], text, false)
				return err
			},
			"decode": func() error {
				_, err := tok.Decode(ids, false)
				return err
			},
		} {
			b.Run(name+"/"+what, func(b *testing.B) {
				best := time.Duration(1 << 62)
				for b.Loop() {
					start := processorTime(b)
					if err := f(); err != nil {
						b.Fatal(err)
					}
					best = min(best, processorTime(b)-start)
				}
				b.ReportMetric(float64(len(text))/1e6/best.Seconds(), "cpu-MB/s")
			})
		}
	}
}

// processorTime is what the process has used.
func processorTime(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// forget empties the cache of words.
func forget(t *Tokenizer) {
	if b, ok := t.model.(*bpe); ok {
		b.cache = newWordCache()
	}
}

// BenchmarkEncodeCold has an empty cache each time.
func BenchmarkEncodeCold(b *testing.B) {
	text := string(readFile(b, sharedFile(b, "train", "tinyshakespeare.txt")))
	for _, name := range sharedNames {
		b.Run(name, func(b *testing.B) {
			tok := benchTokenizer(b, name)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				forget(tok)
				if _, err := tok.Encode(nil, text, false); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	text := string(readFile(b, sharedFile(b, "train", "tinyshakespeare.txt")))
	for _, name := range slices.Concat(sharedNames, []string{"stories260K"}) {
		tok := benchTokenizer(b, name)
		ids, err := tok.Encode(nil, text, false)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(name+"/whole", func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := tok.Decode(ids, false); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/token", func(b *testing.B) { // one token an iteration
			s, i := tok.Stream(false), 0
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.Push(ids[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == len(ids) {
					i = 0
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, name := range sharedNames {
		data := readFile(b, sharedFile(b, "tokenizer", name+".tokenizer.json.gz"))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			for b.Loop() {
				if _, err := Parse(name, data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchTokenizer(b *testing.B, name string) *Tokenizer {
	if name != "stories260K" {
		return sharedTokenizer(b, name)
	}
	tok, err := Open(sharedFile(b, "llm", name))
	if err != nil {
		b.Fatal(err)
	}
	return tok
}
