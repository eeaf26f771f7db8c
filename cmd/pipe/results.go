package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

// results writes the outputs of a pipeline.
type results struct {
	c        *console
	doc      *schema.Document
	from     *origin
	out      string
	json     bool
	values   map[string]any // for --json, by output
	files    []string
	tensors  []tensorfile.Tensor
	start    time.Time
	progress *progress
	open     bool // a line of stdout is not ended
	printed  bool // something stands on stdout
	taken    bool // stdout is a stage's

	firstSound time.Duration // from the start to when the first of it was written
	sound      float64       // seconds of it
}

// takeOut gives stdout to a stage.
func (w *results) takeOut() (io.Writer, error) {
	if w.json {
		return nil, errors.New("--json prints on standard output, too")
	}
	if isTerminal(w.c.out) {
		return nil, errors.New("standard output is a terminal: send it to a file or to a program that plays sound")
	}
	w.taken = true
	return w.c.out, nil
}

// sounded remembers when there was something to hear.
func (w *results) sounded(seconds float64) {
	if w.firstSound == 0 {
		w.firstSound = time.Since(w.start)
	}
	w.sound = seconds
}

func (w *results) emit(out schema.Output, v stage.Value) error {
	w.progress.stop()
	if flow, ok := v.(stage.Flow); ok {
		var err error
		if v, err = stage.Collect(flow); err != nil {
			return err
		}
	}
	switch v := v.(type) {
	case stage.Chunks:
		if !w.json && !w.taken {
			w.printed = true
			return w.stream(v)
		}
	case tensorfile.Tensor:
		if w.json && w.out == "" {
			w.values[out.Name] = nested(v)
			return nil
		}
		v.Name = out.Name
		w.tensors = append(w.tensors, v)
		return nil
	case []tensorfile.Tensor:
		w.tensors = append(w.tensors, v...)
		return nil
	}
	all, err := stage.Collect(v)
	if err != nil {
		return err
	}
	if made, ok := all.([]decode.Made); ok {
		ids := make([][]int32, len(made))
		for i, m := range made {
			ids[i] = m.IDs
		}
		all = ids
	}
	if w.json {
		w.values[out.Name] = all
		return nil
	}
	if texts, ok := all.([]string); ok {
		all = strings.Join(texts, "\n---\n")
	}
	w.printed = true
	if w.taken {
		w.c.log.Info(out.Name, "text", all)
		return nil
	}
	_, err = fmt.Fprintln(w.c.out, all)
	return err
}

// stream prints a text while it is being made.
func (w *results) stream(chunks stage.Chunks) error {
	n, first := 0, time.Duration(0)
	start, ended := time.Now(), false
	for text, err := range chunks {
		if err != nil {
			return err
		}
		if n++; n == 1 {
			first = time.Since(start)
		}
		if text == "" {
			continue
		}
		if _, err := io.WriteString(w.c.out, text); err != nil {
			return err
		}
		ended = strings.HasSuffix(text, "\n")
		w.open = !ended
	}
	if !ended {
		if _, err := fmt.Fprintln(w.c.out); err != nil {
			return err
		}
		w.open = false
	}
	if rest := time.Since(start) - first; n > 1 && rest > 0 {
		w.c.log.Info("generated", "tokens", n, "tokens_per_second", fmt.Sprintf("%.1f", float64(n-1)/rest.Seconds()),
			"first_token", first.Round(10*time.Microsecond))
	}
	return nil
}

// cut ends a line that an error interrupted.
func (w *results) cut() {
	if w.open {
		fmt.Fprintln(w.c.out)
	}
}

func (w *results) finish() error {
	if err := w.write(); err != nil {
		return err
	}
	if w.json {
		result := map[string]any{
			"document": w.doc.File, "name": w.doc.Name, "hash": w.doc.Hash,
			"outputs": w.values, "files": append([]string{}, w.files...), "seconds": time.Since(w.start).Seconds(),
		}
		if w.sound > 0 {
			result["sound"] = map[string]any{"first_seconds": w.firstSound.Seconds(), "seconds": w.sound}
		}
		return w.c.writeJSON(result)
	}
	if w.taken {
		w.c.log.Info("spoke", "sound", fmt.Sprintf("%.2fs", w.sound), "first_sound", w.firstSound.Round(time.Millisecond), "all", time.Since(w.start).Round(time.Millisecond))
	}
	for _, f := range w.files {
		w.c.log.Info("wrote", "file", f)
	}
	return nil
}

// write writes the tensors to --out, or prints what there are.
func (w *results) write() error {
	if len(w.tensors) == 0 {
		return nil
	}
	if w.out == "" && w.printed { // what was asked for is there; more may be had
		var names []string
		for _, t := range w.tensors {
			names = append(names, t.Name)
		}
		w.c.log.Info("--out FOLDER writes tensors too", "names", strings.Join(names, ", "))
		return nil
	}
	if w.out == "" {
		for _, t := range w.tensors {
			if !w.json && !w.taken {
				fmt.Fprintf(w.c.out, "%s %v\n", t.Name, t.Type)
			}
		}
		w.c.log.Warn("tensors were not written: name a folder or file with --out")
		return nil
	}
	if ext := filepath.Ext(w.out); ext == ".npz" || ext == ".safetensors" {
		w.files = append(w.files, w.out)
		return tensorfile.Write(w.out, w.tensors)
	}
	if err := os.MkdirAll(w.out, 0o755); err != nil {
		return checkpoint.FileError(w.out, err)
	}
	for _, t := range w.tensors {
		name := filepath.Join(w.out, t.Name+".npy")
		if err := tensorfile.Write(name, []tensorfile.Tensor{t}); err != nil {
			return err
		}
		w.files = append(w.files, name)
	}
	return nil
}

// nested is a tensor as lists of numbers, for JSON.
func nested(t tensorfile.Tensor) any {
	if t.Type.DType == ir.F32 { // with the digits that an f32 needs
		return lists(t.Float32s(), t.Type.Sizes())
	}
	return lists(t.Float64s(), t.Type.Sizes())
}

// lists are the values of a tensor of these sizes as lists in lists.
func lists[T any](values []T, sizes []int) any {
	if len(sizes) == 0 {
		return values[0]
	}
	if len(sizes) == 1 {
		return values
	}
	out := make([]any, sizes[0])
	part := len(values) / max(1, sizes[0])
	for i := range out {
		out[i] = lists(values[i*part:(i+1)*part], sizes[1:])
	}
	return out
}
