package tokenizer

import (
	"slices"
	"testing"
)

// The peer is the Rust library on one thread, by way of Python:
//
//	RAYON_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false python3 testdata/bench.py DATA
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

// BenchmarkEncodeCold has an empty cache each time.
func BenchmarkEncodeCold(b *testing.B) {
	text := string(readFile(b, sharedFile(b, "train", "tinyshakespeare.txt")))
	for _, name := range sharedNames {
		b.Run(name, func(b *testing.B) {
			tok := benchTokenizer(b, name)
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				tok.model.(*bpe).cache = newWordCache()
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
