package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/adapter"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
	"pipe.dev/schema"
)

func mergeCommand(c *console) *cobra.Command {
	var o adapter.Options
	var undo, asJSON bool
	var dtype string
	cmd := &cobra.Command{
		Use:   "merge MODEL ADAPTER",
		Short: "merge an adapter into a model, or take it out again",
		Long: `Write a copy of a model's folder with an adapter merged into its weights. The adapter is a folder in the form of the
PEFT library (LoRA, rsLoRA, DoRA), as recipes leave it and as that library saves it. Sums are rounded once, to the
element type of each weight or to --dtype; weights that are not adapted stay bit for bit. A model in PyTorch's format,
pytorch_model.bin, is written in safetensors.

With --undo, MODEL is a merged one, and the copy has the adapter taken out. With --base it is proven to be that base
with this adapter, and the copy is the base bit for bit. Without, what merging rounded away is lost: the report says
of how many weights, and how far they may be off. Merged with --dtype f32, a base in bf16 or f16 comes back (--undo
--dtype bf16) all but for weights that are tiny beside their change.`,
		Example: "  pipe merge models/Llama-3.2-1B runs/finetune-0123456789ab/adapter --out merged\n" +
			"  pipe merge --undo merged runs/finetune-0123456789ab/adapter --base models/Llama-3.2-1B --out base",
		Args:              arguments("MODEL", "ADAPTER"),
		ValidArgsFunction: completeFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.Out == "" {
				return usagef(cmd, "needs --out, the folder to write")
			}
			if o.Base != "" && !undo {
				return usagef(cmd, "--base is for --undo")
			}
			if dtype != "" {
				t, err := ir.ParseDType(dtype)
				if err != nil || !t.Float() {
					return usagef(cmd, "--dtype is %q, want f32, bf16 or f16", dtype)
				}
				o.DType = t
			}
			o.Model, o.Adapter = args[0], args[1]
			return merge(cmd, c, o, undo, asJSON)
		},
	}
	cmd.Flags().StringVarP(&o.Out, "out", "o", "", "folder to write, which is not there yet")
	cmd.Flags().BoolVar(&undo, "undo", false, "take the adapter out of a merged model")
	cmd.Flags().StringVar(&o.Base, "base", "", "with --undo: the model that the adapter was merged into")
	cmd.Flags().StringVar(&dtype, "dtype", "", "element type of the weights that are written: f32, bf16 or f16")
	cmd.Flags().Float64Var(&o.Scale, "scale", 1, "what the adapter adds is multiplied by it, beside its own factor")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// merge merges or undoes, and reports.
func merge(cmd *cobra.Command, c *console, o adapter.Options, undo, asJSON bool) error {
	folders := []*string{&o.Model, &o.Base}
	if _, several := adapter.IsPipeline(o.Adapter); !several {
		folders = append(folders, &o.Adapter)
	}
	for _, p := range folders {
		folder, err := mergeFolder(*p)
		if err != nil {
			return err
		}
		*p = folder
	}
	arch, err := schema.LoadModel(o.Model)
	if err != nil {
		return documentError(err)
	}
	o.Prefixes, o.Aliases = arch.Prefixes, arch.Aliases
	p := newProgress(c)
	defer p.stop()
	run, task := adapter.Merge, "merges"
	if undo {
		run, task = adapter.Undo, "takes out"
	}
	o.Progress = func(done, total int64) { p.update(task, done, total) }
	r, err := run(cmd.Context(), o)
	p.stop()
	if err != nil {
		return err
	}
	if asJSON {
		return c.writeJSON(r)
	}
	switch {
	case !undo:
		c.log.Info("merged", "layers", r.Layers, "weights", r.Elements, "largest_change", fmt.Sprintf("%.3g", r.Changed))
	case r.Identical:
		c.log.Info("taken out: bit-identical to the base", "layers", r.Layers, "weights", r.Elements)
	default:
		c.log.Info("taken out: not bit-identical to the base", "layers", r.Layers, "weights", r.Elements, "unsure", r.Unsure,
			"largest_error", fmt.Sprintf("%.3g", r.Error))
	}
	_, err = fmt.Fprintln(c.out, r.Out)
	return err
}

// mergeFolder is the folder of a model or an adapter.
func mergeFolder(path string) (string, error) {
	folder, err := hub.Folder(path)
	if err != nil {
		return "", err
	}
	if st, err := os.Stat(folder); err == nil && !st.IsDir() {
		msg := "is a file, and merging takes and writes folders"
		if model.IsGGUF(folder) {
			msg += ": pipe convert makes one of it, with --dtype f16"
		}
		return "", &checkpoint.Error{File: folder, Msg: msg}
	}
	return folder, nil
}
