package main

import (
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
// what reads texts for them: each must have a fixture.
func (p *modelPage) pictures() error {
	arch, err := pipe.CUE.ReadFile("layers/arch/arch.cue")
	if err != nil {
		return err
	}
	fixtures, err := p.pictureFixtures()
	if err != nil {
		return err
	}
	p.line("## Pictures\n\nBy the `_class_name` of config.json, or its `model_type`. Tiny random models of diffusers and transformers give what they give there\n" +
		"(`TestPictures`, executor/model/pictures_test.go); an error is the greatest |difference| / the greatest |value|.\n")
	if err := p.exists(check{test: "TestPictures", file: "executor/model/pictures_test.go"}); err != nil {
		return err
	}
	p.line("| class or type | architecture | checked with | error |\n|---|---|---|---|")
	models, _, _ := strings.Cut(string(arch), "\n#GGUF: {")
	rows := pictureLine.FindAllStringSubmatch(models, -1)
	slices.SortFunc(rows, func(a, b []string) int { return strings.Compare(strings.ToLower(a[1]), strings.ToLower(b[1])) })
	for _, m := range rows {
		if m[3] == "Model" {
			continue
		}
		file, doc, err := definitionDoc(m[2], m[3])
		if err != nil {
			return err
		}
		names := fixtures[m[1]]
		if len(names) == 0 {
			return fmt.Errorf("testdata/golden/pictures has no model of the class or type %s", m[1])
		}
		p.line("| %s | [%s.#%s](../%s): %s | %s | %s |", m[1], m[2], m[3], file, doc, strings.Join(names, ", "), p.most("pictures", names))
	}
	p.line("")
	return nil
}

// pictureFixtures are the names of values by the class or type of their model.
func (p *modelPage) pictureFixtures() (map[string][]string, error) {
	list, err := filepath.Glob(filepath.Join(p.golden, "pictures", "*", "values*.safetensors"))
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
		if err := readJSON(filepath.Join(dir, "model", "config.json"), &config); err != nil {
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
