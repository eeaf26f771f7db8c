package model

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Sentence says how a model's folder makes one vector of a text: what the
// library sentence-transformers reads beside the model, and writes.
type Sentence struct {
	Pooling   []string // how the vectors of tokens become one; several are put one after the other
	Normalize bool     // to length 1
	Tokens    int      // that a text may have, those that the tokenizer adds included; 0: the folder does not say
	Lower     bool     // texts are put in lower case first
	Prompts   map[string]string
	Prompt    string // the name of the one that is put before texts; "" for none
	Width     int    // numbers of a token's vector; 0: the folder does not say
}

// Poolings are the ways in which vectors of tokens become one, in the order in
// which several stand in a result.
var Poolings = []string{"cls", "max", "mean", "mean_sqrt_len", "weightedmean", "last"}

// poolingNames are what folders call them.
var poolingNames = []string{"cls", "max", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"}

// Sentence reads the folder's modules.json, 1_Pooling/config.json,
// sentence_bert_config.json, config_sentence_transformers.json and
// tokenizer_config.json, as far as they are there; without any, vectors are the mean over the tokens.
func (m *Model) Sentence() (*Sentence, error) {
	s := &Sentence{}
	pooling := "1_Pooling"
	var modules []struct{ Path, Type string }
	found, err := m.readJSON("modules.json", &modules)
	if err != nil {
		return nil, err
	}
	for i, module := range modules {
		kind := module.Type[strings.LastIndex(module.Type, ".")+1:]
		switch {
		case kind == "Transformer" && i == 0:
		case kind == "Pooling":
			pooling = module.Path
		case kind == "Normalize":
			s.Normalize = true
		default:
			return nil, &checkpoint.Error{File: filepath.Join(m.opt.Dir, "modules.json"), Msg: fmt.Sprintf("module %d is %s: known are Transformer in front, Pooling and Normalize", i, module.Type)}
		}
	}
	if err := m.readPooling(s, filepath.Join(pooling, "config.json"), found); err != nil {
		return nil, err
	}
	var bert struct {
		Tokens int  `json:"max_seq_length"`
		Lower  bool `json:"do_lower_case"`
	}
	var names struct {
		Prompts map[string]string
		Prompt  string `json:"default_prompt_name"`
	}
	if _, err := m.readJSON("sentence_bert_config.json", &bert); err != nil {
		return nil, err
	}
	if _, err := m.readJSON("config_sentence_transformers.json", &names); err != nil {
		return nil, err
	}
	var config struct {
		Tokens float64 `json:"model_max_length"`
	}
	if _, err := m.readJSON("tokenizer_config.json", &config); err != nil {
		return nil, err
	}
	var sizes struct {
		Hidden int `json:"hidden_size"`
		Dim    int `json:"dim"`
		Embd   int `json:"n_embd"`
	}
	if _, err := m.readJSON("config.json", &sizes); err != nil {
		return nil, err
	}
	if s.Width == 0 {
		s.Width = max(sizes.Hidden, sizes.Dim, sizes.Embd)
	}
	s.Tokens, s.Lower, s.Prompts, s.Prompt = bert.Tokens, bert.Lower, names.Prompts, names.Prompt
	if n := config.Tokens; s.Tokens == 0 && n > 0 && n < 1<<30 { // some say 1e30 for no limit
		s.Tokens = int(n)
	}
	return s, nil
}

// readPooling reads how vectors of tokens become one.
func (m *Model) readPooling(s *Sentence, name string, must bool) error {
	var config map[string]any
	found, err := m.readJSON(name, &config)
	if err != nil {
		return err
	}
	if !found {
		if must {
			return checkpoint.FileError(filepath.Join(m.opt.Dir, name), fs.ErrNotExist)
		}
		s.Pooling = []string{"mean"}
		return nil
	}
	for _, key := range []string{"word_embedding_dimension", "embedding_dimension"} {
		if n, ok := config[key].(float64); ok {
			s.Width = int(n)
		}
	}
	if modes, ok := config["pooling_mode"]; ok {
		list, several := modes.([]any)
		if !several {
			list = []any{modes}
		}
		for _, mode := range list {
			i := slices.Index(poolingNames, fmt.Sprint(mode))
			if i < 0 {
				return &checkpoint.Error{File: filepath.Join(m.opt.Dir, name), Msg: fmt.Sprintf("pooling_mode is %v; known are %s", mode, strings.Join(poolingNames, ", "))}
			}
			s.Pooling = append(s.Pooling, Poolings[i])
		}
	} else {
		for i, key := range []string{"cls_token", "max_tokens", "mean_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens", "lasttoken"} {
			if on, _ := config["pooling_mode_"+key].(bool); on {
				s.Pooling = append(s.Pooling, Poolings[i])
			}
		}
	}
	if include, ok := config["include_prompt"].(bool); ok && !include {
		return &checkpoint.Error{File: filepath.Join(m.opt.Dir, name), Msg: "include_prompt is false, and prompts are always part of the vector here"}
	}
	if len(s.Pooling) == 0 {
		return &checkpoint.Error{File: filepath.Join(m.opt.Dir, name), Msg: "no pooling_mode is on"}
	}
	return nil
}

// readJSON reads a file of the model's folder into v; found is false if there is
// none.
func (m *Model) readJSON(name string, v any) (found bool, err error) {
	if IsGGUF(m.opt.Dir) {
		return false, nil
	}
	return readJSON(filepath.Join(m.opt.Dir, name), v)
}

// readJSON reads a file, if it is there.
func readJSON(path string, v any) (found bool, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, checkpoint.FileError(path, err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return false, &checkpoint.Error{File: path, Msg: strings.ReplaceAll(err.Error(), "json: ", "")}
	}
	return true, nil
}
