package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/internal/suggest"
)

// commands are the subcommands, in the order in which help lists them.
var commands = [...]func(*console) *cobra.Command{
	runCommand,
	chatCommand,
	checkCommand,
	planCommand,
	benchCommand,
	dataCommand,
	runsCommand,
	mergeCommand,
	quantizeCommand,
	pullCommand,
	convertCommand,
	inspectCommand,
	tokenizeCommand,
	initCommand,
	doctorCommand,
	versionCommand,
}

// newRoot returns the whole command tree.
func newRoot(c *console) *cobra.Command {
	root := &cobra.Command{
		Use:           "pipe",
		Short:         "run and train models that are described by CUE documents",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef(cmd, "unknown command %q%s", args[0], didYouMean(args[0], names(cmd)))
			}
			cmd.SetOut(c.errs)
			cmd.Help()
			return &usageError{}
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			c.setLevel()
			if c.quiet && c.verbose {
				return usagef(cmd, "--quiet and --verbose exclude each other")
			}
			return nil
		},
	}
	root.SetIn(c.in)
	root.SetOut(c.out)
	root.SetErr(c.errs)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	root.PersistentFlags().BoolVarP(&c.quiet, "quiet", "q", false, "log errors only")
	root.PersistentFlags().BoolVarP(&c.verbose, "verbose", "v", false, "log every step")
	root.SetFlagErrorFunc(flagError)
	cobra.EnableCommandSorting = false
	for _, command := range commands {
		root.AddCommand(command(c))
	}
	root.SetHelpCommand(helpCommand())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.Name() == "completion" {
			sub.Short = "print a completion script for a shell"
			sub.Args = cobra.ArbitraryArgs
			sub.RunE = func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return usagef(cmd, "needs the name of a shell: %s", strings.Join(names(cmd), ", "))
				}
				return usagef(cmd, "unknown shell %q%s: want one of %s", args[0], didYouMean(args[0], names(cmd)), strings.Join(names(cmd), ", "))
			}
		}
	}
	return root
}

// helpCommand is cobra's, with an error for what there is no help on.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "describe a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usagef(cmd, "unknown command %q%s", strings.Join(args, " "), didYouMean(strings.Join(args, " "), names(cmd.Root())))
			}
			return about.Help()
		},
	}
}

// arguments returns a check that a command got exactly the arguments named, or
// with a last name of "X..." at least them.
func arguments(want ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, got []string) error {
		many := len(want) > 0 && strings.HasSuffix(want[len(want)-1], "...")
		switch {
		case len(got) < len(want):
			return usagef(cmd, "needs %s", strings.Join(want[len(got):], " "))
		case len(got) > len(want) && len(want) == 0:
			return usagef(cmd, "takes no arguments, but got %q", got[0])
		case len(got) > len(want) && !many:
			return usagef(cmd, "takes only %s, but got %q too", strings.Join(want, " "), got[len(want)])
		}
		return nil
	}
}

// flagError turns what the flag parser says into one line with a suggestion.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var value *pflag.InvalidValueError
	switch {
	case errors.As(err, &value) && (is[*dataError](err) || is[*checkpoint.Error](err)): // what the flag names
		return value.Unwrap()
	case errors.As(err, &value):
		f := value.GetFlag()
		return usagef(cmd, "--%s: %q is not of type %s", f.Name, value.GetValue(), f.Value.Type())
	case !errors.As(err, &unknown):
		return usagef(cmd, "%v", err)
	}
	name := unknown.GetSpecifiedName()
	if unknown.GetSpecifiedShortnames() != "" {
		return usagef(cmd, "unknown flag -%s", name)
	}
	var known []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, "--"+f.Name) })
	return usagef(cmd, "unknown flag --%s%s", name, didYouMean("--"+name, known))
}

// usagef returns a usage error of a command.
func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{command: cmd.CommandPath(), msg: fmt.Sprintf(format, args...)}
}

// names lists the subcommands that help shows.
func names(cmd *cobra.Command) []string {
	var out []string
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() {
			out = append(out, sub.Name())
		}
	}
	return out
}

// didYouMean returns "; did you mean X?" for the nearest of known, or "".
func didYouMean(got string, known []string) string {
	if hint := suggest.DidYouMean(got, known); hint != "" {
		return "; " + hint
	}
	return ""
}
