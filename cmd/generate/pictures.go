package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"pipe.dev"
)

// pictureLine names an architecture that is not its package's #Model.
var pictureLine = regexp.MustCompile(`(?m)^\t"([A-Za-z0-9_-]+)": +([a-z0-9_]+)\.#([A-Z]\w*)$`)

// pictures has a row for each model of pictures in layers/arch/arch.cue, and for
// what reads texts for them, and then for each model of speech: each model there must
// have a fixture of one or the other.
func (p *modelPage) pictures() error {
	arch, err := pipe.CUE.ReadFile("layers/arch/arch.cue")
	if err != nil {
		return err
	}
	known := map[string]bool{}
	models, _, _ := strings.Cut(string(arch), "\n#GGUF: {")
	rows := slices.DeleteFunc(pictureLine.FindAllStringSubmatch(models, -1), func(m []string) bool { return m[3] == "Model" })
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(strings.ToLower(a[1]), strings.ToLower(b[1])) })
	p.line("## Pictures\n\nBy the `_class_name` of config.json, or its `model_type`. Tiny random models of diffusers and transformers give what they give there\n" +
		"(`TestPictures`, executor/model/pictures_test.go); an error is the greatest |difference| / the greatest |value|.\n")
	if err := p.compared("pictures", "TestPictures", rows, known); err != nil {
		return err
	}
	p.line("## Speech\n\nBy the `model_type` of config.json, likewise (`TestSpeech`, executor/model/pictures_test.go):\n")
	if err := p.compared("speech", "TestSpeech", rows, known); err != nil {
		return err
	}
	for _, m := range rows {
		if !known[m[1]] {
			return fmt.Errorf("neither testdata/golden/pictures nor testdata/golden/speech has a model of the class or type %s", m[1])
		}
	}
	return nil
}

// compared has a row for each of the models that a folder of fixtures has, which it
// adds to those that are known.
func (p *modelPage) compared(kind, test string, rows [][]string, known map[string]bool) error {
	if err := p.exists(check{test: test, file: "executor/model/pictures_test.go"}); err != nil {
		return err
	}
	fixtures, err := p.fixturesOf(kind)
	if err != nil {
		return err
	}
	p.line("| class or type | architecture | checked with | error |\n|---|---|---|---|")
	for _, m := range rows {
		names := fixtures[m[1]]
		if len(names) == 0 {
			continue
		}
		known[m[1]] = true
		file, doc, err := definitionDoc(m[2], m[3])
		if err != nil {
			return err
		}
		p.line("| %s | [%s.#%s](../%s): %s | %s | %s |", m[1], m[2], m[3], file, doc, strings.Join(names, ", "), p.most(kind, names))
	}
	p.line("")
	return nil
}

// fixturesOf are the names of values by the class or type of their model; those of
// models that are documents have none.
func (p *modelPage) fixturesOf(kind string) (map[string][]string, error) {
	list, err := filepath.Glob(filepath.Join(p.golden, kind, "*", "values*.safetensors"))
	if err != nil {
		return nil, err
	}
	out := map[string][]string{}
	for _, file := range list {
		var config struct {
			Class string `json:"_class_name"`
			Type  string `json:"model_type"`
		}
		dir := filepath.Dir(file)
		if err := readJSON(filepath.Join(dir, "model", "config.json"), &config); errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		name := filepath.Base(dir) + strings.TrimPrefix(strings.TrimSuffix(filepath.Base(file), ".safetensors"), "values")
		out[config.Class+config.Type] = append(out[config.Class+config.Type], name)
	}
	return out, nil
}

// definitionDoc is what the comment of a definition says first, and the file that it is in.
func definitionDoc(pkg, name string) (file, doc string, err error) {
	list, err := fs.Glob(pipe.CUE, path.Join("layers/arch", pkg, "*.cue"))
	if err != nil {
		return "", "", err
	}
	line := regexp.MustCompile(`(?s)// #` + name + ` (?:is |are )?([^\n].*?)(?:\.\s|:\n|\n//\s*\n)`)
	for _, file := range list {
		text, err := pipe.CUE.ReadFile(file)
		if err != nil {
			return "", "", err
		}
		if m := line.FindSubmatch(text); m != nil {
			return file, strings.ReplaceAll(string(m[1]), "\n// ", " "), nil
		}
	}
	return "", "", fmt.Errorf("layers/arch/%s: no file says what #%s is by a comment", pkg, name)
}
