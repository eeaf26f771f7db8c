package pipe_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// imports is the table of docs/design.md: which packages of this project a
// package may import. A pattern stands for the packages that it matches; the
// first row that matches a package counts.
var imports = []struct {
	pkg  string
	may  []string
	also string // why
}{
	{".", nil, "only embeds the CUE trees"},
	{"internal/*", nil, ""},
	{"compiler/ir", nil, "the graph stands on nothing"},
	{"compiler/attr", []string{"compiler/ir"}, "named sizes stand in attributes"},
	{"compiler/op", []string{"compiler/ir", "compiler/attr"}, ""},
	{"compiler/plan", []string{"compiler/ir"}, ""},
	{"compiler/train", []string{"compiler/ir", "compiler/attr", "compiler/op"}, ""},
	{"compiler", []string{"compiler/*", "schema", "kernels", "kernels/half"}, "a target is a kernels.Backend; it runs none"},
	{"schema", []string{"compiler/ir", "."}, "for positions; for the embedded CUE trees"},
	{"kernels", []string{"compiler/ir"}, ""},
	{"kernels/half", nil, "conversions, for kernels and readers alike"},
	{"kernels/quant", []string{"kernels/half"}, "formats of quantised weights, for kernels and readers alike"},
	{"kernels/cases", []string{"kernels", "kernels/half", "kernels/quant", "compiler/op", "compiler/ir"}, "the table's cases, for tests and measurements"},
	{"kernels/bench", []string{"kernels", "kernels/cases", "compiler/op", "compiler/ir"}, ""},
	{"kernels/kerneltest", []string{"kernels", "kernels/bench", "kernels/cases", "compiler/op", "compiler/attr", "compiler/ir"}, ""},
	{"kernels/cpu", []string{"kernels", "kernels/half", "kernels/quant", "kernels/cpu/*", "compiler/op", "compiler/attr", "compiler/ir"}, "attributes"},
	{"kernels/cpu/*", []string{"kernels/cpu/*", "kernels/half", "kernels/quant"}, ""},
	{"kernels/cuda", []string{"kernels", "kernels/half", "kernels/quant", "kernels/cuda/cublas", "kernels/cuda/driver", "kernels/cuda/emit", "compiler/op", "compiler/attr", "compiler/ir"}, "attributes"},
	{"kernels/cuda/driver", nil, "libcuda, opened at run time"},
	{"kernels/cuda/cublas", []string{"kernels/cuda/driver"}, "cuBLASLt, opened at run time"},
	{"kernels/cuda/emulator", nil, "for tests"},
	{"kernels/cuda/emit", []string{"compiler/op", "compiler/ir"}, "kernels as text"},
	{"executor/stage", []string{"executor/*", "compiler/ir", "compiler/attr", "compiler/plan"}, ""},
	{"executor/session", []string{"kernels", "kernels/half", "kernels/quant", "compiler/ir", "compiler/plan", "executor/checkpoint"}, ""},
	{"executor/gauge", []string{"kernels", "kernels/half", "compiler/ir", "compiler/plan", "executor/session"}, "it measures plans"},
	{"executor/decode", []string{"compiler/ir", "executor/session", "executor/sampler"}, ""},
	{"executor/model", []string{"kernels", "schema", "compiler/ir", "compiler/plan", "compiler/train", "executor/*"}, "patterns of weights"},
	{"executor/quantize", []string{"schema", "kernels/half", "kernels/quant", "compiler/ir", "compiler/plan", "executor/*"}, "it writes models, and measures them"},
	{"executor/pace", []string{"kernels/bench", "executor/decode", "executor/model", "executor/sampler"}, "it measures models that make text"},
	{"executor/tokenizer", []string{"executor/tokenizer/trie"}, ""},
	{"executor/tokenizer/trie", nil, ""},
	{"executor/tokenizer/train", []string{"executor/tokenizer", "executor/tokenizer/trie"}, "it writes what the other reads"},
	{"executor/data", []string{"compiler/ir", "compiler/attr", "executor/audio", "executor/augment", "executor/change", "executor/checkpoint", "executor/image", "executor/tensorfile", "executor/tokenizer", "executor/transform"}, ""},
	{"executor/change", []string{"compiler/attr", "executor/image"}, "random numbers are those of pictures"},
	{"executor/augment", []string{"compiler/attr", "executor/audio", "executor/change", "executor/image"}, "what is done to sound"},
	{"executor/transform", []string{"compiler/attr", "executor/change", "executor/image", "executor/tensorfile"}, "what is done to pictures"},
	{"executor/adapter", []string{"compiler/ir", "compiler/train", "executor/checkpoint", "executor/tensorfile"}, "names of weights"},
	{"executor/learn", []string{"kernels", "kernels/half", "schema", "compiler/ir", "compiler/attr", "compiler/plan", "compiler/train", "executor/*", "executor/tokenizer/train"}, "the train loop, and recipes of tokenizers"},
	{"executor/audio", []string{"executor/audio/mp3", "executor/checkpoint"}, "sound, whatever file it is in"},
	{"executor/audio/mp3", nil, "a format of its own"},
	{"executor/spoken", nil, "text as it is read aloud"},
	{"executor/phoneme", nil, "how words sound"},
	{"executor/archive", nil, "zip archives, proven"},
	{"executor/pickle", nil, "pickles, without executing them"},
	{"executor/npy", []string{"compiler/ir"}, "headers of NumPy"},
	{"executor/onnx", []string{"kernels", "compiler/ir", "compiler/op"}, "ONNX files; as a target, graphs are lowered for it"},
	{"executor/torch", []string{"executor/archive", "executor/pickle"}, "files of PyTorch"},
	{"executor/checkpoint", []string{"compiler/ir", "kernels/half", "kernels/quant", "executor/archive", "executor/npy", "executor/onnx", "executor/torch"}, "weights, whatever file they are in"},
	{"executor/tensorfile", []string{"compiler/ir", "kernels/half", "executor/archive", "executor/checkpoint", "executor/npy"}, ""},
	{"executor/tensorfile/tensortest", []string{"executor/tensorfile"}, "for tests"},
	{"executor/onnx/lift", []string{"compiler/ir", "compiler/attr", "compiler/op", "kernels/half", "executor/onnx"}, "graphs of ONNX, as ops of the table"},
	{"executor/convert", []string{"schema", "compiler/ir", "compiler/op", "executor/onnx", "executor/onnx/lift", "kernels/half", "kernels/quant", "executor/checkpoint", "executor/gguf", "executor/npy", "executor/torch"}, "formats, from one to another"},
	{"executor/*", []string{"compiler/ir", "kernels/half", "executor/checkpoint"}, "files and streams"},
	{"executor/tokenizer/train", []string{"compiler/attr", "executor/tokenizer"}, ""},
	{"executor", []string{"kernels", "schema", "compiler/ir", "compiler/attr", "compiler/plan", "executor/*"}, ""},
	{"recipes/data", nil, "generates problems"},
	{"cmd/*", []string{".", "*", "*/*", "*/*/*"}, "wires everything"},
}

// cue is the only package that may import the CUE libraries.
const cue = "schema"

func TestImports(t *testing.T) {
	for _, p := range listPackages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, "pipe.dev"), "/")
		if name == "" {
			name = "."
		}
		row := slices.IndexFunc(imports, func(r struct {
			pkg  string
			may  []string
			also string
		}) bool {
			return matches(r.pkg, name)
		})
		if row < 0 {
			t.Errorf("package %s has no row in the table of imports", name)
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "cuelang.org/") && name != cue {
				t.Errorf("%s imports %s: only %s may", name, i, cue)
			}
			ours, ok := strings.CutPrefix(i, "pipe.dev")
			if !ok {
				continue
			}
			if ours = strings.TrimPrefix(ours, "/"); ours == "" {
				ours = "."
			}
			if slices.Contains([]string{"internal/mel", "internal/noise", "internal/philox", "internal/suggest"}, ours) {
				continue // leaves that anything may use
			}
			if !slices.ContainsFunc(imports[row].may, func(pattern string) bool { return matches(pattern, ours) }) {
				t.Errorf("%s imports %s: it may import %v", name, ours, imports[row].may)
			}
		}
	}
}

func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

type goPackage struct {
	ImportPath string
	Imports    []string
}

// listPackages reads the imports of all files but tests, whatever they are
// built for. It reads the files itself, so that the test is run again when one
// of them changes.
func listPackages(t *testing.T) []goPackage {
	t.Helper()
	found := map[string][]string{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if _, err := os.Stat(filepath.Join(file, "go.mod")); err == nil && file != "." || d.Name() == "testdata" || file != "." && d.Name()[0] == '.' {
				return filepath.SkipDir // another module, or none
			}
			return nil
		}
		if filepath.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		pkg := path.Join("pipe.dev", filepath.ToSlash(filepath.Dir(file)))
		found[pkg] = append(found[pkg], "")
		for _, i := range parsed.Imports {
			found[pkg] = append(found[pkg], strings.Trim(i.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var list []goPackage
	for _, pkg := range slices.Sorted(maps.Keys(found)) {
		all := slices.Compact(slices.Sorted(slices.Values(found[pkg])))
		list = append(list, goPackage{pkg, all[1:]})
	}
	if len(list) < 20 {
		t.Fatalf("only %d packages found", len(list))
	}
	return list
}
