package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/convert"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
	"pipe.dev/schema"
)

func convertCommand(c *console) *cobra.Command {
	var f convertFlags
	cmd := &cobra.Command{
		Use:   "convert IN OUT",
		Short: "write the tensors of a checkpoint in another format or element type",
		Long: `Write the tensors of a checkpoint in another format, under the same names. IN is what pipe inspect takes: a file of weights
in safetensors, of PyTorch, of NumPy or GGUF, a folder, or a model of a hub that was pulled.

The extension of OUT says the format: .safetensors; .pt, .pth or .bin, a state dict for torch.load; .npz or .npy; .gguf, as
a container (pipe quantize writes models that llama.cpp runs). Without an extension it is a folder, which gets
model.safetensors, or shards of it with --shard-size, and the config and tokenizer of IN.

A GGUF file as a folder is a model's folder: config.json, tokenizer.json, and weights under the names that the config's architecture
has; what lies in blocks needs --dtype.

.onnx is the graph of a model with its weights, for other programs to run: IN is then a model's folder, a GGUF file or a document
with one model. Batch and length stay open; the inputs and results are those of pipe run pipelines/forward.cue.

An .onnx file whose OUT is a folder becomes a document, model.cue, with its graph as operations of pipe, and its weights
beside it: pipe check, pipe plan and pipe run take it. What is known of shapes is computed; --fix gives a number to a named
size, as batch=1, or to an input, as a sample rate that decides between branches. Two sizes that are one get one name by --fix a=batch --fix b=batch.

Every tensor stays bit for bit, unless --dtype says otherwise: then weights are rounded to that type, and quantised ones
become what they stand for; integers stay. The tensors go through one by one, and OUT is written whole or not at all.`,
		Example: "  pipe convert pytorch_model.bin model.safetensors\n" +
			"  pipe convert models/big models/big-bf16 --dtype bf16 --shard-size 5GB\n" +
			"  pipe convert training.ckpt weights.safetensors --under model\n" +
			"  pipe convert resnet.onnx resnet --fix batch=1 && pipe run resnet/model.cue --set input=image.npy",
		Args:              arguments("IN", "OUT"),
		ValidArgsFunction: completeExtension("safetensors", "gguf", "json", "pt", "pth", "bin", "npz", "npy", "onnx"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.read(cmd, args); err != nil {
				return err
			}
			return f.run(cmd, c)
		},
	}
	cmd.Flags().StringVar(&f.dtype, "dtype", "", "element type of weights: f32, bf16, f16 or f64; by default every tensor keeps its own")
	cmd.Flags().StringVar(&f.shard, "shard-size", "", "in a folder: bytes of weights in a file at most, as 5GB")
	cmd.Flags().StringVar(&f.Under, "under", "", "take only the tensors below a `NAME` of IN, without it in front, as model of model.x.weight")
	f.graph.add(cmd)
	cmd.Flags().StringArrayVar(&f.fix, "fix", nil, "of an ONNX graph: a number for a named size or an input, `NAME=NUMBER`; or another name for a size, so that two are one; may be repeated")
	cmd.Flags().BoolVar(&f.Force, "force", false, "replace OUT if it is there")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	return cmd
}

// convertFlags are what the command line says of a conversion.
type convertFlags struct {
	convert.Options
	graph        onnxFlags
	dtype, shard string
	fix          []string
	asJSON       bool
}

// read settles the options, and proves that they go together.
func (f *convertFlags) read(cmd *cobra.Command, args []string) error {
	if f.dtype != "" {
		t, err := ir.ParseDType(f.dtype)
		if err != nil || !t.Float() {
			return usagef(cmd, "--dtype is %q, want f32, bf16, f16 or f64", f.dtype)
		}
		f.DType = t
	}
	if f.shard != "" {
		n, err := parseBytes(f.shard)
		if err != nil {
			return usagef(cmd, "--shard-size: %v", err)
		}
		f.Shard = n
	}
	err := readFixes(cmd, f.fix, &f.Options)
	if err == nil {
		f.In, err = hub.Folder(args[0])
	}
	if err != nil {
		return err
	}
	f.Out = args[1]
	switch {
	case isONNX(f.Out) && (f.Under != "" || f.Shard > 0 || f.DType == ir.F64):
		return usagef(cmd, "--under, --shard-size and f64 are not for graphs, as %s is to be", f.Out)
	case !isONNX(f.Out) && f.graph.any():
		return usagef(cmd, "--set, --take and --external are for graphs, and %s is to be none: name it .onnx", f.Out)
	}
	return nil
}

// run converts, and says what came of it.
func (f *convertFlags) run(cmd *cobra.Command, c *console) error {
	p := newProgress(c)
	defer p.stop()
	f.Progress = func(done, total int64) { p.update("writes", done, total) }
	if model.IsGGUF(f.In) && convert.ToFolder(f.Options) && f.Under == "" {
		var err error
		if f.Model, err = model.Folder(f.In, c.warn); is[schema.Errors](err) {
			c.warn(fmt.Errorf("%w: its tensors keep their names", err)) // of an architecture that is not known
		} else if err != nil {
			return err
		}
	}
	run := func() (*convert.Report, error) { return convert.Run(cmd.Context(), f.Options) }
	if isONNX(f.Out) {
		run = func() (*convert.Report, error) { return exportONNX(cmd, c, f.graph, f.Options) }
	}
	r, err := run()
	p.stop()
	if err != nil {
		return err
	}
	if f.asJSON {
		return c.writeJSON(r)
	}
	c.log.Info("converted", "tensors", r.Tensors, "of_another_type", r.Changed, "types", sortedTypes(r.DTypes),
		"before", model.Size(r.Before), "after", model.Size(r.After))
	_, err = fmt.Fprintln(c.out, r.Out)
	return err
}

// readFixes reads what --fix says of the sizes and inputs of a graph.
func readFixes(cmd *cobra.Command, fixes []string, o *convert.Options) error {
	o.Fix, o.Rename = map[string]float64{}, map[string]string{}
	for _, s := range fixes {
		name, is, ok := strings.Cut(s, "=")
		if !ok || name == "" || is == "" {
			return usagef(cmd, "--fix %s: want NAME=NUMBER or NAME=SIZE", s)
		}
		if x, err := strconv.ParseFloat(is, 64); err == nil {
			o.Fix[name] = x
		} else {
			o.Rename[name] = is
		}
	}
	return nil
}
