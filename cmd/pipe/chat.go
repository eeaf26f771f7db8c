package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
)

// chatFlags are those of pipe chat.
type chatFlags struct {
	engineFlags
	system, template           string
	context, maxTokens, seed   int
	temperature, topP, penalty float64
	topK                       int
	offload, precision         string
	options                    model.Options // that these ask for
}

func chatCommand(c *console) *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat PATH",
		Short: "talk to a model",
		Long: "chat reads messages from stdin, a line each, and writes the model's answers as they are made. PATH is the folder of a\n" +
			"model that has a chat template, or its .gguf file. What was said before is not computed again; where it no longer fits\n" +
			"into the context, the oldest messages are left out, which is told. Lines that begin with / are commands:\n\n" + chatHelp,
		Example: "  pipe chat models/SmolLM2-135M-Instruct\n  echo 'What is a pipe?' | pipe chat model.gguf --temperature 0",
		Args:    arguments("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := hub.Folder(args[0])
			if err != nil {
				return err
			}
			if f.maxTokens < 1 {
				return usagef(cmd, "--max-tokens is %d, want at least 1", f.maxTokens)
			}
			if f.seed < 0 || f.context < 0 || f.topK < 0 || f.temperature < 0 || f.penalty <= 0 || f.topP <= 0 || f.topP > 1 {
				return usagef(cmd, "--seed, --context, --top-k and --temperature want at least 0, --repetition-penalty more than 0, --top-p more than 0 and at most 1")
			}
			if f.options.Offload, err = parseOffload(f.offload); err != nil {
				return usagef(cmd, "%v", err)
			}
			if f.options.Precision, f.options.TF32, err = model.ParsePrecision(f.precision); err != nil {
				return usagef(cmd, "--precision: %v", err)
			}
			f.options.Cache = f.options.Precision
			e, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer e.close()
			return runChat(cmd.Context(), c, e, f, path)
		},
	}
	f.addDevice(cmd)
	cmd.Flags().StringVar(&f.mem, "mem", "", "memory it may use, as 500MiB or 2GB; by default what is available")
	cmd.Flags().StringVar(&f.offload, "offload", "none", "layers that stay on the processor, where the device has memory of its own: none, auto (as few as make the model fit) or the first so many")
	cmd.Flags().StringVar(&f.precision, "precision", "f32", "what the model computes in: f32, tf32 (products on a GPU), bf16 or f16 (its cache too)")
	cmd.Flags().StringVar(&f.system, "system", "", "what the model is to be: its system prompt")
	cmd.Flags().StringVar(&f.template, "template", "", "a file with a chat template, instead of the model's own")
	cmd.Flags().IntVar(&f.context, "context", 4096, "positions of the key/value cache; at most as many as the model was trained on; 0 means all of these")
	cmd.Flags().IntVar(&f.maxTokens, "max-tokens", 1024, "how many tokens an answer has at most")
	cmd.Flags().Float64Var(&f.temperature, "temperature", 0.8, "0 takes the likeliest token; more is more varied")
	cmd.Flags().IntVar(&f.topK, "top-k", 0, "choose among this many likeliest tokens; 0 means all")
	cmd.Flags().Float64Var(&f.topP, "top-p", 1, "choose among the likeliest tokens that have this probability together")
	cmd.Flags().Float64Var(&f.penalty, "repetition-penalty", 1, "above 1 makes tokens that occurred less likely")
	cmd.Flags().IntVar(&f.seed, "seed", 0, "the same seed gives the same answers")
	return cmd
}

// runChat opens a model and talks until the input ends.
func runChat(ctx context.Context, c *console, e *engine, f chatFlags, path string) error {
	t, err := openTalk(ctx, c, e, f, path)
	if err != nil {
		return err
	}
	defer t.model.Close()
	return t.run()
}

// parseOffload reads --offload.
func parseOffload(text string) (o model.Offload, err error) {
	switch text {
	case "", "none":
		return o, nil
	case "auto":
		return model.Offload{Auto: true}, nil
	}
	if o.Layers, err = strconv.Atoi(text); err != nil || o.Layers < 0 {
		return o, fmt.Errorf("--offload is %q, want none, auto or a number of layers", text)
	}
	o.Cut = true
	return o, nil
}

// openTalk makes a model ready to talk.
func openTalk(ctx context.Context, c *console, e *engine, f chatFlags, path string) (*talk, error) {
	bar := newProgress(c)
	defer bar.stop()
	o := f.options
	o.Name, o.Dir, o.Backend, o.Host, o.Compile = path, path, e.backend, e.host, e.compile(nil)
	o.Progress = func(done, total int64) { bar.update("weights", done, total) }
	m, err := model.Open(o)
	if err != nil {
		return nil, err
	}
	t := &talk{c: c, f: f, model: m}
	if t.chat, err = m.Chat(f.template); err == nil {
		err = m.TextAtMost(f.context)
	}
	if err == nil && m.Offloads() {
		_, err = m.ShrinkTo(e.limit)
	}
	if err == nil {
		err = model.Fit([]*model.Model{m}, e.limit)
	}
	if layers, host, cut := m.Layers(); err == nil && cut {
		c.log.Info("layers on the host", "layers", host, "of", layers)
	}
	if err == nil {
		settle()
		err = m.Load(ctx)
	}
	if err == nil {
		t.generator, err = m.Generator()
	}
	if err != nil {
		m.Close() // err is what matters
		return nil, err
	}
	t.reset(f.system)
	return t, nil
}
