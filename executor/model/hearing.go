package model

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
)

// Hearing is what the folder of a model that writes down speech says of that:
// generation_config.json, as transformers leaves it.
type Hearing struct {
	Languages     map[string]int32 // the token of each, by its text
	Tasks         map[string]int32
	Times         int32   // the token of the time 0, behind which those of later times stand; 0 if there are none
	LastFirstTime int     // the greatest time, in tokens, at which a text may begin; 0 is any
	Suppress      []int32 // tokens that are never made
	SuppressFirst []int32 // tokens that are not made first
}

// Hearing reads what the folder says; without a file nothing is known.
func (m *Model) Hearing() (*Hearing, error) {
	const name = "generation_config.json"
	var config struct {
		Languages map[string]int32 `json:"lang_to_id"`
		Tasks     map[string]int32 `json:"task_to_id"`
		NoTimes   int32            `json:"no_timestamps_token_id"`
		Latest    int              `json:"max_initial_timestamp_index"`
		Suppress  []int32          `json:"suppress_tokens"`
		First     []int32          `json:"begin_suppress_tokens"`
	}
	if _, err := m.readJSON(name, &config); err != nil {
		return nil, err
	}
	h := &Hearing{Languages: config.Languages, Tasks: config.Tasks, LastFirstTime: max(0, config.Latest), Suppress: config.Suppress, SuppressFirst: config.First}
	if config.NoTimes > 0 {
		h.Times = config.NoTimes + 1
	}
	all := slices.Concat(slices.Collect(maps.Values(h.Languages)), slices.Collect(maps.Values(h.Tasks)), h.SuppressFirst, []int32{h.Times})
	for _, id := range all {
		if id < 0 {
			return nil, &checkpoint.Error{File: m.opt.Dir, Msg: fmt.Sprintf("%s: has the token %d", name, id)}
		}
	}
	h.Suppress = slices.DeleteFunc(h.Suppress, func(id int32) bool { return id < 0 }) // -1 stood for a list once
	return h, nil
}

// Language is the token of a language by its code, as "en".
func (h *Hearing) Language(code string) (int32, error) {
	if id, ok := h.Languages["<|"+strings.ToLower(code)+"|>"]; ok {
		return id, nil
	}
	if len(h.Languages) == 0 {
		return 0, fmt.Errorf("language is %q, and the model knows one language: leave it out", code)
	}
	var codes []string
	for name := range h.Languages {
		codes = append(codes, strings.Trim(name, "<|>"))
	}
	slices.Sort(codes)
	return 0, fmt.Errorf("language is %q, which the model does not know; it knows %s", code, strings.Join(codes, " "))
}
