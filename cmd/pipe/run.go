package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/stage"
	"pipe.dev/executor/tensorfile"
	"pipe.dev/schema"
)

func runCommand(c *console) *cobra.Command {
	var flags engineFlags
	var out, root, plot string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "run FILE.cue",
		Short: "run a document: a pipeline, or a recipe of a model or a tokenizer",
		Long: `Run a document: validate it, compile it, check that it fits into memory, and run it.

Of a pipeline, texts go to stdout as they are made (several with a line --- between them), and tensors to --out: a folder, which gets a .npy file for each,
or one .npz or .safetensors file. Pictures are written by the stage image.write. A PNG file that it wrote holds the
document that made it: pipe run FILE.png repeats it, to the same bits, with --set nodes.STAGE.FIELD=VALUE for what is to differ, and
refuses where a file that it was made of has changed. check, plan and inspect take such a file, too.
--plot FILE.png draws what a pipeline hears or says: waveform, spectrogram and pitch, and which phoneme stands when.

A recipe trains. Its run is a folder below --runs: the resolved document, plans, metrics, plots, checkpoints, and the
model. The same document goes on from its last checkpoint if it was interrupted. A recipe of a tokenizer
(train.#Tokenizer) leaves a folder with tokenizer.json, which the data.tokenizer of other recipes can name.

PIPE_CPU_TIER=generic, avx2 or avx512 forces a tier of CPU kernels; pipe doctor says which there are.`,
		Args: arguments("FILE.cue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			from, err := documentIn(args[0])
			if err != nil {
				return err
			}
			load := func(more []string) (*schema.Document, error) {
				return from.load(schema.Options{Set: slices.Concat(flags.set, more)})
			}
			doc, err := load(nil)
			if err != nil {
				return err
			}
			if plot != "" {
				if !hasInput(doc, "plot") {
					return usagef(cmd, "--plot: %s draws no sound: it has no input plot", args[0])
				}
				flags.set = append(flags.set, "plot="+plot)
				if doc, err = load(nil); err != nil {
					return err
				}
			}
			if out != "" && doc.Pipeline == nil {
				return usagef(cmd, "--out is of pipelines: what a recipe makes goes below --runs")
			}
			if doc.Tokenizer != nil {
				return trainTokenizer(cmd, c, doc, root, asJSON)
			}
			if doc.Pipeline == nil && doc.Recipe == nil {
				return &schema.Error{Pos: doc.Models[0].Pos, Msg: "is an architecture: run a pipeline that uses it, or see its plan (pipe plan)"}
			}
			if asJSON && out == "" && givesTensors(doc) {
				return usagef(cmd, "--json needs --out, a folder or file: several tensors are not printed as JSON")
			}
			e, err := flags.open(cmd)
			if err != nil {
				return err
			}
			defer e.backend.Close()
			if doc.Recipe != nil {
				return trainDocument(cmd, c, e, doc, root, asJSON)
			}
			from.made.Set = slices.Concat(from.made.Set, flags.set)
			return runPipeline(cmd, e, &results{c: c, doc: doc, from: from, out: out, json: asJSON, values: map[string]any{}}, load)
		},
	}
	flags.add(cmd)
	cmd.Flags().StringVarP(&out, "out", "o", "", "where tensors go: a folder, or a .npz or .safetensors file")
	cmd.Flags().StringVar(&plot, "plot", "", "draw the sound of a pipeline into a PNG file: its input plot")
	cmd.Flags().StringVar(&root, "runs", "runs", "folder of the runs of recipes")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the outputs as one JSON object")
	cmd.ValidArgsFunction = completeExtension("cue", "png")
	return cmd
}

// hasInput reports whether a document is a pipeline with an input of this name.
func hasInput(doc *schema.Document, name string) bool {
	return doc.Pipeline != nil && slices.ContainsFunc(doc.Pipeline.Inputs, func(in schema.Input) bool { return in.Name == name })
}

// givesTensors reports whether an output of a pipeline is several tensors.
func givesTensors(doc *schema.Document) bool {
	return doc.Pipeline != nil && slices.ContainsFunc(doc.Pipeline.Outputs, func(o schema.Output) bool { return o.Type == "tensors" })
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

// runPipeline runs a pipeline and writes its outputs.
func runPipeline(cmd *cobra.Command, e *engine, w *results, load func(set []string) (*schema.Document, error)) error {
	w.progress = newProgress(w.c)
	defer w.progress.stop()
	p, doc, err := e.fitted(w.doc, executor.Options{Document: stage.Document{Set: w.from.made.Set}, Progress: w.progress.update, Steps: w.progress.steps,
		Warn: func(err error) { w.c.log.Warn(err.Error()) }, Out: w.takeOut, Sounded: w.sounded}, load)
	if p != nil {
		defer p.Close()
	}
	if err != nil {
		return err
	}
	if err := w.from.unchanged(p); err != nil {
		return err
	}
	w.doc = doc
	choices(w.c, p)
	debug.FreeOSMemory() // what evaluating documents took, before weights are read
	w.start = time.Now()
	if err := p.Run(cmd.Context(), w.emit); err != nil {
		w.cut()
		return err
	}
	return w.finish()
}

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
