package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pipe.dev/schema"
)

func initCommand(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "init DIR",
		Short: "make a folder for documents, with a starter pipeline and recipe",
		Long: "init makes DIR, if need be, and writes a starter pipeline, a starter recipe, .gitignore and the module file\n" +
			"with which cue vet and the CUE language server work on the documents there. It overwrites nothing.",
		Example:           "  pipe init stories\n  pipe check stories/*.cue",
		Args:              arguments("DIR"),
		ValidArgsFunction: completeFolder,
		RunE: func(cmd *cobra.Command, args []string) error {
			files, err := schema.Init(args[0])
			if err != nil {
				return documentError(err)
			}
			if asJSON {
				return c.writeJSON(map[string][]string{"files": files})
			}
			for _, f := range files {
				if _, err := fmt.Fprintln(c.out, f); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the files that were written as JSON")
	return cmd
}
