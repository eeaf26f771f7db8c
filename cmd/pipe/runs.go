package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/journal"
)

// runsFlags are the flags of pipe runs.
type runsFlags struct {
	root, sort, plot, value string
	asJSON, watch           bool
}

func runsCommand(c *console) *cobra.Command {
	var f runsFlags
	cmd := &cobra.Command{
		Use:   "runs [RUN...]",
		Short: "list the runs of recipes, compare some, or watch one",
		Long: `List the runs of recipes: how far each is, its losses, whether it runs, was interrupted or is finished.

A RUN is a folder, or the name of a run, or the beginning of its hash. With some, compare them: their final and best
losses, speed and memory, and what their documents differ in; --plot draws a value of theirs into one picture. With
--watch, show the rows of one as they are written, until it ends: of what runs now, if none is named.`,
		Example: "  pipe runs --sort eval\n  pipe runs shakespeare-char --plot losses.png --value eval_loss\n  pipe runs --watch",
		RunE: func(cmd *cobra.Command, args []string) error {
			if f.watch {
				return f.follow(cmd, c, args)
			}
			if len(args) == 0 {
				return f.list(cmd, c)
			}
			var folders []string
			for _, word := range args {
				found, err := journal.Find(f.root, word)
				if err != nil {
					return err
				}
				folders = append(folders, found...)
			}
			return f.compare(cmd, c, folders)
		},
	}
	cmd.Flags().StringVar(&f.root, "runs", "runs", "folder of the runs")
	cmd.Flags().StringVar(&f.sort, "sort", "started", "order of the list: started, name, state, steps, loss or eval")
	cmd.Flags().BoolVarP(&f.watch, "watch", "w", false, "show the rows of a run as they are written")
	cmd.Flags().StringVar(&f.plot, "plot", "", "draw a value of the runs into this file, a PNG")
	cmd.Flags().StringVar(&f.value, "value", journal.Loss, "the value that --plot draws")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON; with --watch an object on each line")
	cmd.ValidArgsFunction = completeFolder
	return cmd
}

func (f *runsFlags) list(cmd *cobra.Command, c *console) error {
	if f.plot != "" {
		return usagef(cmd, "--plot needs RUN...")
	}
	list, err := journal.List(f.root)
	if err != nil {
		return err
	}
	if err := journal.Order(list, f.sort); err != nil {
		return usagef(cmd, "--sort: %v", err)
	}
	if f.asJSON {
		return c.writeJSON(append([]journal.Summary{}, list...))
	}
	_, err = fmt.Fprint(c.out, journal.ListTable(list))
	return err
}

func (f *runsFlags) compare(cmd *cobra.Command, c *console, folders []string) error {
	compared, err := journal.Compare(folders...)
	if err != nil {
		return err
	}
	if f.plot != "" {
		picture, err := journal.Overlay(f.value, folders...)
		if err != nil && !is[*checkpoint.Error](err) {
			return usagef(cmd, "--plot: %v", err)
		}
		if err != nil {
			return err
		}
		if err := checkpoint.Replace(f.plot, func(w io.Writer) error { _, err := w.Write(picture); return err }); err != nil {
			return err
		}
		c.log.Info("wrote", "file", f.plot)
	}
	if f.asJSON {
		return c.writeJSON(compared)
	}
	_, err = fmt.Fprint(c.out, compared.Table())
	return err
}

// follow watches one run.
func (f *runsFlags) follow(cmd *cobra.Command, c *console, args []string) error {
	folder, err := f.watched(cmd, args)
	if err != nil {
		return err
	}
	var first *journal.Row
	now := journal.Summarize(folder)
	planned := now.Planned
	last := 10
	if f.asJSON {
		last = 1 << 30 // a program wants them all
	}
	s, err := journal.Watch(cmd.Context(), folder, last, func(r journal.Row) error {
		if f.asJSON {
			_, err := c.out.Write(r.JSON())
			return err
		}
		if first == nil || r.Step < first.Step {
			first = &r
		}
		line := r.Line(planned)
		if now.State == journal.Running {
			line += eta(first, &r, planned)
		}
		_, err := fmt.Fprintln(c.out, line)
		return err
	})
	if err != nil {
		return err
	}
	c.log.Info("is "+string(s.State), "run", folder, "step", max(s.Step, 0))
	return nil
}

// watched is the run that is meant.
func (f *runsFlags) watched(cmd *cobra.Command, args []string) (string, error) {
	var found []string
	var err error
	switch len(args) {
	case 0:
		var list []journal.Summary
		list, err = journal.List(f.root)
		for _, s := range list {
			if s.State == journal.Running {
				found = append(found, s.Folder)
			}
		}
		if err == nil && len(found) == 0 {
			err = dataErrorf("%s: no run is being written; name one to see its last rows", f.root)
		}
	case 1:
		found, err = journal.Find(f.root, args[0])
	default:
		err = usagef(cmd, "--watch takes one RUN, but got %q too", args[1])
	}
	if err != nil {
		return "", err
	}
	for _, folder := range found {
		if journal.Summarize(folder).State == journal.Running {
			return folder, nil
		}
	}
	return found[len(found)-1], nil
}

// eta is how long the steps after now take, as those since first did.
func eta(first, now *journal.Row, planned int64) string {
	if now.Step <= first.Step || planned <= now.Step {
		return ""
	}
	left := float64(now.Time.Sub(first.Time)) / float64(now.Step-first.Step) * float64(planned-now.Step)
	return fmt.Sprintf("  eta %v", time.Duration(left).Round(time.Second))
}
