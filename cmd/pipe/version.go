package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build says what this binary is.
type build struct {
	Version  string `json:"version"` // of the module, or "(devel)"
	Revision string `json:"revision,omitempty"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func thisBuild() build {
	b := build{Version: "(devel)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	if info.Main.Version != "" {
		b.Version = info.Main.Version
	}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "+modified"
		}
	}
	if b.Revision != "" {
		b.Revision += modified
	}
	return b
}

// versionLine is what pipe version prints.
func versionLine() string {
	b := thisBuild()
	line := "pipe " + b.Version
	if b.Revision != "" {
		line += " " + b.Revision
	}
	return line + " " + b.Go + " " + b.Platform
}

func versionCommand(c *console) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "print the version of pipe",
		Args:  arguments(),
		RunE: func(*cobra.Command, []string) error {
			if asJSON {
				return c.writeJSON(thisBuild())
			}
			_, err := fmt.Fprintln(c.out, versionLine())
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}
