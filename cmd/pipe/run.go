package main

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/executor"
	"pipe.dev/executor/stage"
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

PIPE_CPU_TIER=generic, avx2, avx512, avx512bf16 or amx forces a tier of CPU kernels; pipe doctor says which there are.`,
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
			defer e.close()
			if doc.Recipe != nil {
				return trainDocument(cmd, c, e, doc, root, asJSON, load)
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
	settle()
	w.start = time.Now()
	if err := p.Run(cmd.Context(), w.emit); err != nil {
		w.cut()
		return err
	}
	return w.finish()
}
