package main

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pipe.dev"
	"pipe.dev/internal/measured"
	"pipe.dev/internal/philox"
	"pipe.dev/kernels/quant"
)

// modelsPage writes docs/models.md: which architectures, formats and quantised
// weights work, each with its check and its error. All of it is read from the
// CUE files, the reference values and what tests measured; a check that there
// is no test of is an error.
func modelsPage(root string) ([]byte, error) {
	p := &modelPage{root: root, golden: filepath.Join(root, "testdata", "golden")}
	var err error
	if p.errors, err = measured.Read(p.golden); err != nil {
		return nil, err
	}
	if err := p.readFixtures(); err != nil {
		return nil, err
	}
	p.line("<!-- Generated from the architectures, the reference values and the errors that tests measured. Do not edit. -->\n\n# Models\n\n" +
		"What runs, and how that is known. References are transformers, sentence-transformers, PyTorch and the gguf package, in float64\n" +
		"(testdata/golden, with the scripts that make the values); an error is the greatest |difference| / max(1, |value|), rounded up to one digit.\n")
	for _, part := range []func() error{p.architectures, p.checks, p.pictures, p.embeddings, p.formats, p.blocks} {
		if err := part(); err != nil {
			return nil, err
		}
	}
	return []byte(p.text.String()), nil
}

type modelPage struct {
	root, golden string
	text         strings.Builder
	errors       measured.Errors
	fixtures     map[string][]string // names of folders by model_type
	saved        struct {
		Transformers string
		Tensors      map[string]int // that transformers loads, by the name of the folder
		Files        map[string]int // that were compared as files
	}
}

func (p *modelPage) line(format string, args ...any) { fmt.Fprintf(&p.text, format+"\n", args...) }

// readFixtures finds the folders of each model_type.
func (p *modelPage) readFixtures() error {
	p.fixtures = map[string][]string{}
	for _, kind := range []string{"arch", "encoder", "seq2seq"} {
		list, err := filepath.Glob(filepath.Join(p.golden, kind, "*", "config.json"))
		if err != nil {
			return err
		}
		for _, file := range list {
			var config struct {
				Type string `json:"model_type"`
			}
			if err := readJSON(file, &config); err != nil {
				return err
			}
			p.fixtures[config.Type] = append(p.fixtures[config.Type], filepath.Base(filepath.Dir(file)))
		}
	}
	return readJSON(filepath.Join(p.golden, "saveback.json"), &p.saved)
}

func readJSON(file string, v any) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return nil
}

var (
	typeLine    = regexp.MustCompile(`(?m)^\t"([a-z0-9_-]+)": +([a-z0-9_]+)\.#Model`)
	packageLine = regexp.MustCompile(`(?s)// Package \w+ is (.*?)\.(?:\n//\s*\n|\npackage|\s)`)
	ggufLine    = regexp.MustCompile(`(?m)^\t"([a-z0-9_-]+)": +"([a-z0-9_-]+)"`)
)

// architectures has a row for each model_type of layers/arch/arch.cue.
func (p *modelPage) architectures() error {
	arch, err := pipe.CUE.ReadFile("layers/arch/arch.cue")
	if err != nil {
		return err
	}
	_, written, _ := strings.Cut(string(arch), "#GGUFByType: {")
	written, _, _ = strings.Cut(written, "}")
	gguf := map[string]string{}
	for _, m := range ggufLine.FindAllStringSubmatch(written, -1) {
		gguf[m[1]] = m[2]
	}
	p.line("## Architectures\n\nBy the `model_type` of config.json. *Alone*: logits and hidden states of whole sequences. *Padded*: those of a batch of several lengths.\n"+
		"*Saved*: tensors of what `pipe convert` writes, loaded by transformers %s, that are identical; \"in files\": compared by the\n"+
		"safetensors package, where models are quantised or transformers lacks the architecture. *GGUF*: the architecture in such files, read and written.\n", p.saved.Transformers)
	p.line("| `model_type` | architecture | checked with | alone | padded | saved | GGUF |\n|---|---|---|---|---|---|---|")
	rows := typeLine.FindAllStringSubmatch(string(arch), -1)
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
	for _, m := range rows {
		doc, err := archDoc(m[2])
		if err != nil {
			return err
		}
		names := p.fixtures[m[1]]
		p.line("| %s | [%s](../layers/arch/%s/%s.cue): %s | %s | %s | %s | %s | %s |", m[1], m[2], m[2], m[2], doc,
			orDash(strings.Join(names, ", ")), p.most("forward", names), p.most("padded", names), p.savedOf(names), orDash(gguf[m[1]]))
	}
	p.line("")
	return nil
}

// archDoc is what an architecture's file says that it is.
func archDoc(name string) (string, error) {
	list, err := fs.Glob(pipe.CUE, path.Join("layers/arch", name, "*.cue"))
	if err != nil {
		return "", err
	}
	for _, file := range list {
		text, err := pipe.CUE.ReadFile(file)
		if err != nil {
			return "", err
		}
		if m := packageLine.FindSubmatch(text); m != nil {
			return strings.ReplaceAll(strings.TrimPrefix(string(m[1]), "the architecture of "), "\n// ", " "), nil
		}
	}
	return "", fmt.Errorf("layers/arch/%s: no file says what it is by a line \"// Package %s is the architecture of NAME\"", name, name)
}

// most is the greatest error of a check over fixtures.
func (p *modelPage) most(check string, names []string) string {
	most, found := 0.0, false
	for _, name := range names {
		if e, ok := p.errors[check][name]; ok {
			most, found = max(most, e), true
		}
	}
	if !found {
		return "-"
	}
	return exponent(most)
}

// exponent writes an error as people read it: 2e-5.
func exponent(x float64) string {
	if x == 0 {
		return "0"
	}
	exp := math.Floor(math.Log10(x) + 1e-9)
	return fmt.Sprintf("%.0fe%.0f", x/math.Pow(10, exp), exp)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// savedOf counts tensors of fixtures that are identical after pipe wrote them.
func (p *modelPage) savedOf(names []string) string {
	tensors, files := 0, 0
	for _, name := range names {
		tensors += p.saved.Tensors[name]
		files += p.saved.Files[name]
	}
	switch {
	case tensors+files == 0:
		return "-"
	case files == 0:
		return fmt.Sprint(tensors)
	case tensors == 0:
		return fmt.Sprintf("%d in files", files)
	}
	return fmt.Sprintf("%d, and %d in files", tensors, files)
}

// check is a test that the page names.
type check struct{ what, test, file string }

// checks says what is true of every architecture above.
func (p *modelPage) checks() error {
	p.line("Of every architecture with a folder in that column:\n")
	return p.list([]check{
		{"logits and hidden states are those of transformers", "TestForward", "executor/model/golden_test.go"},
		{"the vectors of encoders, too", "TestEncoders", "executor/model/encoder_test.go"},
		{"32 greedy tokens with a key/value cache are those of transformers without one; logits have the same bits however a prompt is cut into calls, for any number of threads", "TestGreedy", "executor/model/golden_test.go"},
		{"padded batches are those of transformers, and each text has the bits that it has alone", "TestPadded", "executor/model/padded_test.go"},
		{"greedy tokens of a batch of several lengths, with a cache, are those of transformers", "TestBatchGreedy", "executor/model/batch_test.go"},
		{"logits of texts in one call, prompts and single tokens, have the bits that each has alone", "TestBatchLogits", "executor/model/batch_test.go"},
		{"models that are written again, as folders and by way of PyTorch's format, have the same tensors, bit for bit", "TestSaveBack", "executor/convert/models_test.go"},
		{"memory that was predicted is what is allocated and mapped, to the byte", "TestPeak", "executor/model/golden_test.go"},
	})
}

// list writes checks, of which each must exist.
func (p *modelPage) list(list []check) error {
	for _, c := range list {
		if err := p.exists(c); err != nil {
			return err
		}
		p.line("- %s (`%s`, %s)", c.what, c.test, c.file)
	}
	p.line("")
	return nil
}

// exists is an error if there is no such test.
func (p *modelPage) exists(c check) error {
	text, err := os.ReadFile(filepath.Join(p.root, filepath.FromSlash(c.file)))
	if err != nil {
		return err
	}
	if !strings.Contains(string(text), "func "+c.test+"(t *testing.T)") {
		return fmt.Errorf("docs/models.md names %s, which %s does not have", c.test, c.file)
	}
	return nil
}

// embeddings has the errors of vectors of texts.
func (p *modelPage) embeddings() error {
	p.line("## Vectors of texts\n\n`pipelines/embed.cue`, beside sentence-transformers, over texts of several lengths in one batch (`TestEmbed`, `TestMiniLM` in executor/embed_test.go):\n")
	p.line("| folder, or pooling | greatest difference |\n|---|---|")
	for _, name := range slices.Sorted(maps.Keys(p.errors["embed"])) {
		p.line("| %s | %s |", name, exponent(p.errors["embed"][name]))
	}
	p.line("")
	for _, test := range []string{"TestEmbed", "TestMiniLM"} {
		if err := p.exists(check{test: test, file: "executor/embed_test.go"}); err != nil {
			return err
		}
	}
	return nil
}

// fileFormat is a format of files of weights, with its checks.
type fileFormat struct {
	name, reference string
	tests           []check
}

// formats has the files that weights come from.
func (p *modelPage) formats() error {
	p.line("## Files\n\nWhat they are and what is refused: [checkpoints.md](checkpoints.md). Values are compared bit for bit, but where an error is given.\n")
	p.line("| format | written by | checks |\n|---|---|---|")
	for _, f := range []fileFormat{
		{"safetensors, single and in shards", "safetensors, transformers", []check{{"", "TestReadsReferenceFile", "executor/checkpoint/checkpoint_test.go"}, {"", "TestReadsShards", "executor/checkpoint/checkpoint_test.go"}, {"", "TestWriteRoundTrip", "executor/checkpoint/write_test.go"}}},
		{"PyTorch .pt, .pth, .bin, TorchScript", "torch", []check{{"", "TestTorchFiles", "executor/checkpoint/torch_test.go"}, {"", "TestTorchFolders", "executor/checkpoint/torch_test.go"}, {"", "TestEveryFormat", "executor/convert/convert_test.go"}}},
		{"NumPy .npy, .npz", "numpy", []check{{"", "TestReadsReferenceFiles", "executor/tensorfile/tensorfile_test.go"}, {"", "TestRoundTrip", "executor/tensorfile/tensorfile_test.go"}}},
		{"ONNX, weights read", "onnx", []check{{"", "TestONNXFiles", "executor/checkpoint/onnx_test.go"}}},
		{"GGUF, read and written", "gguf", []check{{"", "TestGolden", "executor/gguf/gguf_test.go"}, {"", "TestFolder", "executor/quantize/quantize_test.go"}, {"", "TestGGUF", "executor/model/gguf_test.go"}}},
		{"8-bit floats, GPTQ, AWQ, compressed-tensors", "torch, compressed-tensors, NumPy", []check{{"", "TestUnpack", "executor/checkpoint/quantised_test.go"}, {"", "TestQuantised", "executor/convert/convert_test.go"}}},
	} {
		var tests []string
		for _, c := range f.tests {
			if err := p.exists(c); err != nil {
				return err
			}
			tests = append(tests, fmt.Sprintf("`%s` (%s)", c.test, path.Dir(c.file)))
		}
		p.line("| %s | %s | %s |", f.name, f.reference, strings.Join(tests, ", "))
	}
	var models []string
	for _, name := range slices.Sorted(maps.Keys(p.errors["gguf"])) {
		models = append(models, name+" "+exponent(p.errors["gguf"][name]))
	}
	p.line("\nLogits of models in GGUF files, beside the models that they were made of: %s. (Of those with matrices in blocks, `blocks` and `_q8`,\n"+
		"it is the root of the mean square, beside the decoded weights: it stems from the rows of x, which kernels quantise to 8 bits as well, as llama.cpp does.)\n", strings.Join(models, ", "))
	return nil
}

// blocks has the formats of quantised weights, and what normal weights lose.
func (p *modelPage) blocks() error {
	p.line("## Quantised weights\n\nDecoded and encoded as the reference implementations do (`TestDecode`, `TestEncode` in kernels/quant); products are held against their meaning in every tier\n" +
		"(`TestKernels` in kernels/cpu). *Loss* is the root of the squared error over the squared weights, of weights that are normally distributed.\n")
	for _, test := range []string{"TestDecode", "TestEncode"} {
		if err := p.exists(check{test: test, file: "kernels/quant/quant_test.go"}); err != nil {
			return err
		}
	}
	p.line("| `weights` | a block holds | bits of a weight | loss |\n|---|---|---|---|")
	x := make([]float32, 64*256)
	for i := range x {
		x[i] = float32(philox.Normal(1, uint64(i)))
	}
	for _, f := range quant.Formats() {
		size, err := f.Size(len(x))
		if err != nil {
			return err
		}
		data, after := make([]byte, size), make([]float32, len(x))
		if err := f.Encode(data, x); err != nil {
			return err
		}
		if err := f.Decode(after, data); err != nil {
			return err
		}
		loss, err := quant.Measure(x, after)
		if err != nil {
			return err
		}
		p.line("| %s | %s | %.4g | %.1f%% |", f.Name, f.Doc, 8*float64(f.Bytes)/float64(f.Block), 100*loss.Relative)
	}
	return nil
}
