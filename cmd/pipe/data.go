package main

import (
	"io"
	"os"

	"github.com/spf13/cobra"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/data"
	"pipe.dev/executor/image"
	"pipe.dev/executor/learn"
	"pipe.dev/schema"
)

func dataCommand(c *console) *cobra.Command {
	var set []string
	var root, sheet string
	show := data.ShowOptions{}
	cmd := &cobra.Command{
		Use:   "data FILE.cue",
		Short: "show the first batches of a recipe",
		Long: `Show the first batches that a recipe trains on as text: what the loss counts stands as it is, what it does not
count in brackets (or dim, on a terminal), with the borders of documents and the padding. Of pictures it counts classes, sizes and what is
left out, and --out FILE.png shows them as the model sees them, with what belongs to them.`,
		Args:              arguments("FILE.cue"),
		ValidArgsFunction: completeExtension("cue"),
		RunE: func(cmd *cobra.Command, args []string) error {
			doc, err := schema.Load(args[0], schema.Options{Set: set})
			if err != nil {
				return documentError(err)
			}
			if doc.Tokenizer != nil {
				return usagef(cmd, "%s is the recipe of a tokenizer, which has no batches", args[0])
			}
			if doc.Recipe == nil {
				return usagef(cmd, "%s is no recipe", args[0])
			}
			if show.Batches < 1 {
				return usagef(cmd, "--batches is %d, want at least 1", show.Batches)
			}
			show.Color = isTerminal(c.out) && os.Getenv("NO_COLOR") == ""
			bar := newProgress(c)
			defer bar.stop()
			o := learn.Options{Root: root, Warn: func(err error) { c.log.Warn(err.Error()) }, Progress: bar.count}
			show.Sheet = sheet != ""
			p, err := learn.Show(doc, o, c.out, show)
			if err != nil || sheet == "" {
				return err
			}
			if p == nil {
				return usagef(cmd, "--out is for pictures, and %s learns from none", args[0])
			}
			return checkpoint.Replace(sheet, func(w io.Writer) error { return image.EncodePNG(w, p) })
		},
	}
	cmd.Flags().StringArrayVar(&set, "set", nil, "set a path of the document: NAME=VALUE, may be repeated")
	cmd.Flags().StringVar(&root, "runs", "runs", "folder of the runs of recipes, where encoded data are kept")
	cmd.Flags().StringVar(&sheet, "out", "", "a PNG file for the pictures, with labels and texts")
	cmd.Flags().IntVar(&show.Batches, "batches", 1, "how many batches to show")
	cmd.Flags().BoolVar(&show.JSON, "json", false, "print a JSON object for each row")
	return cmd
}
