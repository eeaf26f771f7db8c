package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pipe.dev/compiler"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/model"
	"pipe.dev/executor/quantize"
	"pipe.dev/schema"
)

// quantizeFlags are the flags of pipe quantize.
type quantizeFlags struct {
	engineFlags
	quantize.Options
	layers  []string
	data    string
	tokens  int
	context int
	random  int64
	asJSON  bool
}

func quantizeCommand(c *console) *cobra.Command {
	var f quantizeFlags
	cmd := &cobra.Command{
		Use:   "quantize IN OUT.gguf",
		Short: "write a model as a GGUF file, its weights quantised",
		Long: `Write a model as a GGUF file that pipe and llama.cpp run, its matrices rounded to a type: f32, f16, bf16, or blocks of
few bits. IN is a model's folder, a GGUF file, or, with --random, a document with an architecture.

--type is that of every matrix, the table of tokens and the output among them; norms and biases stay f32. --layer gives
tensors another one: a pattern of their names, in the file or in the model, where * is any text; the last that matches
counts. Rows must be whole blocks, of 256 weights for the types that end in _k and of 32 for others: --fallback is for those
that are not.

The report says of every tensor how far it is from what it was, |w - q| / |w|. With --data FILE it says how well the model
tells that text before and after, as perplexity. The file is written whole or not at all, a tensor at a time.`,
		Example: "  pipe quantize models/Llama-3.2-1B llama.gguf --type q4_k --layer '*.down_proj.weight=q6_k' --layer lm_head.weight=q6_k\n" +
			"  pipe quantize llama-f16.gguf llama-q8.gguf --type q8_0 --data text.txt\n" +
			"  pipe quantize benchmarks/llama_1b.cue llama.gguf --type q4_0 --random 1",
		Args:              arguments("IN", "OUT.gguf"),
		ValidArgsFunction: completeExtension("gguf", "cue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(cmd, args[0], args[1]); err != nil {
				return err
			}
			return f.run(cmd, c, args[0])
		},
	}
	f.addDevice(cmd)
	cmd.Flags().StringVar(&f.mem, "mem", "", "memory that --data may use, as 500MiB or 2GB; by default what is available")
	cmd.Flags().StringVarP(&f.Type, "type", "t", "", "type of matrices: "+strings.Join(quantize.Types(), ", "))
	cmd.Flags().StringArrayVar(&f.layers, "layer", nil, "another type for some tensors: PATTERN=TYPE, may be repeated")
	cmd.Flags().StringVar(&f.Fallback, "fallback", "", "type of matrices whose rows are no whole blocks; without it they are an error")
	cmd.Flags().BoolVar(&f.Force, "force", false, "replace OUT if it is there")
	cmd.Flags().StringVar(&f.data, "data", "", "a text file to measure perplexity with, before and after")
	cmd.Flags().IntVar(&f.tokens, "tokens", 8192, "how many tokens of --data are used at most")
	cmd.Flags().IntVar(&f.context, "context", 512, "positions of a window of --data")
	cmd.Flags().Int64Var(&f.random, "random", -1, "draw the weights of a document's architecture, with this seed")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON: sizes, and every tensor with its error")
	return cmd
}

func (f *quantizeFlags) check(cmd *cobra.Command, in, out string) error {
	known := func(what, name string) error {
		if err := quantize.CheckType(name); err != nil {
			return usagef(cmd, "%s: %v%s", what, err, didYouMean(name, quantize.Types()))
		}
		return nil
	}
	if f.Type == "" {
		return usagef(cmd, "needs --type: %s", strings.Join(quantize.Types(), ", "))
	}
	if err := known("--type", f.Type); err != nil {
		return err
	}
	if f.Fallback != "" {
		if err := known("--fallback", f.Fallback); err != nil {
			return err
		}
	}
	for _, l := range f.layers {
		i := strings.LastIndex(l, "=")
		if i <= 0 {
			return usagef(cmd, "--layer is %q, want PATTERN=TYPE", l)
		}
		if err := known("--layer "+l, l[i+1:]); err != nil {
			return err
		}
		if _, err := filepath.Match(l[:i], ""); err != nil {
			return usagef(cmd, "--layer: %q is not a pattern: a [ is not closed, or a \\ is at the end", l[:i])
		}
		f.Layers = append(f.Layers, quantize.Layer{Pattern: l[:i], Type: l[i+1:]})
	}
	drawn := cmd.Flags().Changed("random")
	switch isDocument := filepath.Ext(in) == ".cue"; {
	case filepath.Ext(out) != ".gguf":
		return usagef(cmd, "OUT is %q, want a name that ends in .gguf", out)
	case drawn && (!isDocument || f.random < 0):
		return usagef(cmd, "--random wants a seed from 0 on, and as IN a document with an architecture")
	case isDocument && !drawn:
		return usagef(cmd, "%s is a document, which has no weights: --random SEED draws some", in)
	case drawn && f.data != "":
		return usagef(cmd, "--data is for weights that learned something")
	case f.tokens < 2 || f.context < 2:
		return usagef(cmd, "--tokens and --context are %d and %d, want 2 at least", f.tokens, f.context)
	}
	f.Out = out
	return nil
}

func (f *quantizeFlags) run(cmd *cobra.Command, c *console, in string) error {
	text, err := f.text()
	if err != nil {
		return err
	}
	e, err := f.open(cmd)
	if err != nil {
		return err
	}
	defer e.close()
	s, err := f.source(e, in)
	if err != nil {
		return documentError(err)
	}
	defer s.Close()
	p := newProgress(c)
	defer p.stop()
	f.Threads = f.threads
	f.Progress = func(done, total int64) { p.count("quantises", done, total) }
	r, err := quantize.Run(cmd.Context(), s, f.Options)
	p.stop()
	if err != nil {
		return quantizeError(err)
	}
	for _, w := range r.Warnings {
		c.log.Warn(w)
	}
	if f.data != "" {
		if r.Perplexity, err = f.compare(cmd.Context(), e, p, in, text); err != nil {
			return fmt.Errorf("%s is written, but --data: %w", f.Out, err)
		}
	}
	if f.asJSON {
		return c.writeJSON(r)
	}
	_, err = fmt.Fprint(c.out, quantizeText(r))
	return err
}

// quantizeError is bad data, unless it has a kind of its own.
func quantizeError(err error) error {
	if errors.Is(err, context.Canceled) || exitCode(err) != exitBug {
		return err
	}
	return &dataError{err}
}

// text reads --data.
func (f *quantizeFlags) text() (string, error) {
	if f.data == "" {
		return "", nil
	}
	b, err := os.ReadFile(f.data)
	if err != nil {
		return "", checkpoint.FileError(f.data, err)
	}
	if !utf8.Valid(b) {
		return "", &checkpoint.Error{File: f.data, Msg: "is not UTF-8 text"}
	}
	return string(b), nil
}

// source opens a model, or draws one.
func (f *quantizeFlags) source(e *engine, in string) (*quantize.Source, error) {
	if f.random < 0 {
		s, err := quantize.Open(in)
		if err != nil {
			return nil, quantizeError(err)
		}
		return s, nil
	}
	doc, err := schema.Load(in, schema.Options{Set: f.set})
	if err != nil {
		return nil, err
	}
	if len(doc.Models) != 1 || doc.Models[0].Arch == "" {
		return nil, &schema.Error{Msg: in + ": want a document with one architecture that has a config"}
	}
	m := doc.Models[0]
	weights, _, err := compiler.Weights(m, e.ops, nil)
	if err != nil {
		return nil, err
	}
	return quantize.Random(m, weights, uint64(f.random))
}

// compare measures perplexity before and after.
func (f *quantizeFlags) compare(ctx context.Context, e *engine, p *progress, in, text string) (*quantize.Compared, error) {
	defer p.stop()
	r := &quantize.Compared{Context: f.context}
	for i, path := range []string{in, f.Out} {
		m, err := model.Open(model.Options{Name: path, Dir: path, Backend: e.backend, Compile: e.compile(nil)})
		if err != nil {
			return nil, err
		}
		what := []string{"perplexity before", "perplexity after"}[i]
		x, told, err := quantize.Perplexity(ctx, m, text, f.context, f.tokens, func(done, total int64) { p.count(what, done, total) })
		if closing := m.Close(); err == nil {
			err = closing
		}
		if err != nil {
			return nil, err
		}
		if i == 0 {
			r.Before, r.Tokens = x, told
		} else {
			r.After = x
		}
	}
	return r, nil
}

// quantizeText is the report: kinds of tensors, the worst ones, totals.
func quantizeText(r *quantize.Report) string {
	const worst = 10
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TENSOR\tFROM\tTYPE\tBITS\tSIZE\tERROR")
	list := slices.Clone(r.Tensors)
	slices.SortStableFunc(list, func(a, b quantize.Tensor) int { return cmp.Compare(b.Relative, a.Relative) })
	for i, t := range list {
		if i == worst || t.Relative == 0 {
			fmt.Fprintf(w, "%s more\t\t\t\t\t\n", grouped(int64(len(list)-i)))
			break
		}
		note := ""
		if t.Fallback {
			note = " (fallback)"
		}
		fmt.Fprintf(w, "%s\t%s\t%s%s\t%.2f\t%s\t%.3g\n", printable(t.Name), t.From, t.Type, note, t.Bits, model.Size(t.Bytes), t.Relative)
	}
	w.Flush()
	fallback := 0
	for _, t := range r.Tensors {
		if t.Fallback {
			fallback++
		}
	}
	if fallback > 0 {
		fmt.Fprintf(&b, "\n%d tensors have rows that are no whole blocks and took the fallback\n", fallback)
	}
	fmt.Fprintf(&b, "\n%s weights in %s tensors: %s before, %s after (%.2f bits a weight), relative error %.3g\n", grouped(r.Weights),
		grouped(int64(len(r.Tensors))), model.Size(r.Before), model.Size(r.After), r.Bits, r.Relative)
	if p := r.Perplexity; p != nil {
		fmt.Fprintf(&b, "perplexity of %s tokens: %.4f before, %.4f after\n", grouped(int64(p.Tokens)), p.Before, p.After)
	}
	fmt.Fprintln(&b, r.Out)
	return b.String()
}
