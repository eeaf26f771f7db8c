package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"pipe.dev/executor/journal"
)

func runsCommand(c *console) *cobra.Command {
	var asJSON bool
	var root string
	cmd := &cobra.Command{
		Use:   "runs [RUN...]",
		Short: "list the runs of recipes, or compare some",
		Long: `List the runs of recipes: how far each is, its losses, whether it runs, was interrupted or is finished. With the
folders of runs, compare those: their best losses, and what their documents differ in.`,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				list, err := journal.List(root)
				if err != nil {
					return err
				}
				if asJSON {
					return c.writeJSON(append([]journal.Summary{}, list...))
				}
				_, err = fmt.Fprint(c.out, journal.ListTable(list))
				return err
			}
			compared, err := journal.Compare(args...)
			if err != nil {
				return err
			}
			if asJSON {
				return c.writeJSON(compared)
			}
			_, err = fmt.Fprint(c.out, compared.Table())
			return err
		},
	}
	cmd.Flags().StringVar(&root, "runs", "runs", "folder of the runs")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.ValidArgsFunction = completeFolder
	return cmd
}
