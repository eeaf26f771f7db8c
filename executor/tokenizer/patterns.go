package tokenizer

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// patternsJSON says how texts are split for vocabularies whose files only name the way: "gguf" by the name under
// tokenizer.ggml.pre, "tiktoken" by the name of the file. A key is names with spaces between; @NAME is one of
// "patterns".
//
//go:embed patterns.json
var patternsJSON []byte

// recipe is how a text is split, and what is special about a vocabulary.
type recipe struct {
	Split   []string       `json:"split"`
	Whole   bool           `json:"whole"` // a word that is a token stays whole
	BOS     bool           `json:"bos"`   // unless the file says otherwise, a text begins with a token
	Special []specialToken `json:"special"`
	Append  []string       `json:"append"` // special tokens whose ids follow on the others
	Times   *struct {
		Count int     `json:"count"`
		Step  float64 `json:"step"` // seconds
	} `json:"times"` // special tokens after those: <|0.00|> and so on
}

type specialToken struct {
	Token string `json:"token"`
	ID    int32  `json:"id"`
}

// patternsFile is patterns.json.
type patternsFile struct {
	Patterns map[string]string
	GGUF     map[string]*recipe
	Tiktoken map[string]*recipe
	Merges   map[string]*mergesRecipe

	Vocabularies []*vocabularyRecipe
}

var patternsOnce = sync.OnceValue(func() (file patternsFile) {
	if err := json.Unmarshal(patternsJSON, &file); err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	return file
})

// recipes is the ways to split by kind and name.
var recipes = sync.OnceValue(func() map[string]map[string]*recipe {
	file := patternsOnce()
	all := map[string]map[string]*recipe{}
	for kind, list := range map[string]map[string]*recipe{"gguf": file.GGUF, "tiktoken": file.Tiktoken} {
		all[kind] = map[string]*recipe{}
		for names, r := range list {
			for i, p := range r.Split {
				if name, ok := strings.CutPrefix(p, "@"); ok {
					r.Split[i] = file.Patterns[name]
				}
			}
			for _, name := range strings.Fields(names) {
				all[kind][name] = r
			}
		}
	}
	return all
})

// recipeOf finds a recipe by its name.
func recipeOf(kind, name string) (*recipe, error) {
	all := recipes()[kind]
	if r := all[name]; r != nil {
		return r, nil
	}
	return nil, unknownName(name, slices.Sorted(maps.Keys(all)))
}

// mergesRecipeOf finds what belongs to merges by the name of their file.
func mergesRecipeOf(name string) (*mergesRecipe, error) {
	var known []string
	for names, r := range patternsOnce().Merges {
		if slices.Contains(strings.Fields(names), name) {
			return r, nil
		}
		known = append(known, strings.Fields(names)...)
	}
	return nil, unknownName(name, known)
}

func unknownName(name string, known []string) error {
	return fmt.Errorf("%.60q is not known%s; known are %s", name, nearest(name, known), strings.Join(known, ", "))
}

// splitters are the pre-tokenizers of a recipe. The last hands on plain bytes.
func (r *recipe) splitters() ([]preTokenizer, error) {
	var list []preTokenizer
	for _, source := range r.Split {
		if scan, known := scanners()[source]; known {
			list = append(list, &scanSplit{scan, newClasses()})
			continue
		}
		p, err := patternOf(source)
		if err != nil {
			return nil, err
		}
		list = append(list, &splitter{pattern: p, behave: isolated})
	}
	return append(list, &byteLevel{classes: newClasses()}), nil
}
