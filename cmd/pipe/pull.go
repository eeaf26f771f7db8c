package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
)

func pullCommand(c *console) *cobra.Command {
	var o hub.Options
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "pull OWNER/NAME[@REVISION]",
		Short: "bring a model from a Hugging Face hub into the local cache",
		Long: `Bring a model from a Hugging Face hub into the cache that Python's huggingface_hub keeps too, and print its folder.
Documents then name it as model: "OWNER/NAME", and need no network.

Of weights in several forms the best is fetched: safetensors, else PyTorch's files, else GGUF; --include and --exclude
choose otherwise, by patterns in which * is any text. What is there already is not fetched again, what was interrupted
goes on, and everything is compared with the hub's hashes.

HF_HOME, HF_HUB_CACHE: where the cache is. HF_ENDPOINT: another hub. HF_TOKEN, or a token file: for models that are not
public. HF_HUB_OFFLINE=1: only look into the cache.`,
		Example: "  pipe pull HuggingFaceTB/SmolLM2-135M-Instruct\n" +
			"  pipe pull owner/name@v1.0 --include '*.gguf' --exclude '*q2*'",
		Args:              arguments("OWNER/NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			n, err := hub.Parse(args[0])
			if err != nil {
				return usagef(cmd, "%v", err)
			}
			e, err := hub.FromEnvironment(os.Getenv)
			if err != nil {
				return usagef(cmd, "%v", err)
			}
			p := newProgress(c)
			defer p.stop()
			o.Progress = func(done, total int64) { p.update("pulls", done, total) }
			o.Log = func(format string, args ...any) { c.log.Warn(fmt.Sprintf(format, args...)) }
			r, err := hub.Pull(cmd.Context(), e, n, o)
			p.stop()
			if err != nil {
				return err
			}
			if asJSON {
				return c.writeJSON(r)
			}
			c.log.Info("pulled", "model", r.Model, "commit", r.Commit, "files", len(r.Files), "size", model.Size(r.Bytes), "fetched", model.Size(r.Fetched))
			_, err = fmt.Fprintln(c.out, r.Folder)
			return err
		},
	}
	cmd.Flags().StringArrayVar(&o.Include, "include", nil, "fetch only files that match a `PATTERN`; may be repeated")
	cmd.Flags().StringArrayVar(&o.Exclude, "exclude", nil, "fetch no files that match a `PATTERN`; may be repeated")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
