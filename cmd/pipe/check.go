package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"pipe.dev/compiler"
	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/compiler/plan"
	"pipe.dev/executor"
	"pipe.dev/executor/learn"
	"pipe.dev/executor/stage"
	"pipe.dev/schema"
)

// checked is what pipe check says of one file.
type checked struct {
	File string `json:"file"`
	OK   bool   `json:"ok"`
	Kind string `json:"kind,omitempty"` // pipeline, recipe, tokenizer or architecture
	Name string `json:"name,omitempty"`
	Hash string `json:"hash,omitempty"` // of the resolved document
}

// diagnostic is one mistake, for editors and other programs. Line and column
// are counted from 1; 0 means that the file as a whole is at fault.
type diagnostic struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Col     int    `json:"col"`
	Path    string `json:"path"` // in the document, or of the layer
	Message string `json:"message"`
	Hint    string `json:"hint"`
}

func checkCommand(c *console) *cobra.Command {
	var asJSON bool
	var set []string
	cmd := &cobra.Command{
		Use:   "check FILE.cue...",
		Short: "validate documents",
		Long: "check validates documents and reports all mistakes of each, at the line where they were written. The shapes\n" +
			"inside an architecture are checked as well, the kinds of what the stages of a pipeline read, and the patterns of a\n" +
			"recipe that trains from scratch. Nothing is read but the documents and what they import; inputs need no values.\n" +
			"A PNG file that says which document made it stands for that one.",
		Example:           "  pipe check recipe.cue\n  pipe check --json *.cue",
		Args:              arguments("FILE.cue..."),
		ValidArgsFunction: completeExtension("cue", "png"),
		RunE: func(cmd *cobra.Command, args []string) error {
			report := struct {
				Documents   []checked    `json:"documents"`
				Diagnostics []diagnostic `json:"diagnostics"`
			}{[]checked{}, []diagnostic{}}
			var first error
			for _, file := range args {
				if err := cmd.Context().Err(); err != nil {
					return err
				}
				one, err := check(cmd, c, file, set)
				report.Documents = append(report.Documents, one)
				if err != nil {
					report.Diagnostics = append(report.Diagnostics, diagnostics(file, err)...)
					first = errors.Join(first, err)
				}
				switch {
				case asJSON:
				case err != nil:
					c.reportError(err)
				default:
					fmt.Fprintf(c.out, "ok %s %s %s %s\n", one.File, one.Kind, one.Name, one.Hash)
				}
			}
			if asJSON {
				if err := c.writeJSON(report); err != nil {
					return err
				}
			}
			if first != nil {
				return failure{first}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print documents and mistakes as JSON")
	cmd.Flags().StringArrayVar(&set, "set", nil, "set an input or a path of the documents: `NAME=VALUE`, may be repeated")
	return cmd
}

// check validates one document, and the shapes of the architectures in it.
func check(cmd *cobra.Command, c *console, file string, set []string) (checked, error) {
	one := checked{File: file}
	from, err := documentIn(file)
	if err != nil {
		return one, err
	}
	doc, err := from.load(schema.Options{Set: set, Unset: true})
	if err != nil {
		return one, err
	}
	one.Name, one.Hash = doc.Name, doc.Hash
	warnUnread(c, doc)
	switch {
	case doc.Pipeline != nil:
		one.Kind = "pipeline"
		stages, err := stage.New()
		if err == nil {
			err = executor.Check(doc.Pipeline, stages)
		}
		if err == nil && len(doc.Models) > 0 {
			err = checkShapes(cmd, doc.Models)
		}
		if err != nil {
			return one, err
		}
	case doc.Recipe != nil:
		one.Kind = "recipe"
		if err := checkRecipe(cmd, c, doc); err != nil {
			return one, err
		}
	case doc.Tokenizer != nil:
		one.Kind = "tokenizer"
		if _, err := learn.DecodeVocabulary(doc, learn.Options{}); err != nil {
			return one, err
		}
	default:
		one.Kind = "architecture"
		if err := checkShapes(cmd, doc.Models); err != nil {
			return one, err
		}
	}
	one.OK = true
	return one, nil
}

// warnUnread tells of fields of configs in the document of a pipeline or a model that look misspelt; those
// of recipes are told where these are checked.
func warnUnread(c *console, doc *schema.Document) {
	models := slices.Clone(doc.Models)
	if doc.Pipeline != nil {
		for _, ref := range doc.Pipeline.Models {
			if ref.Arch != nil {
				models = append(models, ref.Arch)
			}
		}
	}
	for _, m := range models {
		for _, field := range m.Unread {
			c.warn(field)
		}
	}
}

// checkShapes compiles architectures, which proves all their shapes.
func checkShapes(cmd *cobra.Command, models []*schema.Model) error {
	e, err := (&engineFlags{device: "cpu", threads: 1}).open(cmd)
	if err != nil {
		return err
	}
	defer e.close()
	var all []error
	for _, m := range models {
		o := compiler.Options{Entry: plan.Entry{Name: "forward"}, Target: e.backend}
		if _, err := compiler.Compile(m, e.ops, o); err != nil {
			all = append(all, err)
		}
	}
	return errors.Join(all...)
}

// checkRecipe looks at what of a recipe its document alone shows.
func checkRecipe(cmd *cobra.Command, c *console, doc *schema.Document) error {
	e, err := (&engineFlags{device: "cpu", threads: 1}).open(cmd)
	if err != nil {
		return err
	}
	defer e.close()
	return learn.Check(doc, e.trainOptions(c, "", nil))
}

// documentError gives a document that cannot be read the exit code of bad
// data.
func documentError(err error) error {
	if is[*schema.Error](err) || is[schema.Errors](err) {
		return err
	}
	return &dataError{err}
}

// diagnostics lists the single mistakes in err.
func diagnostics(file string, err error) []diagnostic {
	at := func(p ir.Pos, msg, hint string) diagnostic {
		if p.File == "" {
			p.File = file
		}
		return diagnostic{p.File, p.Line, p.Col, p.Path, msg, hint}
	}
	var one *schema.Error
	var shape *op.Error
	switch e := err.(type) {
	case schema.Errors:
		var all []diagnostic
		for _, m := range e {
			all = append(all, at(m.Pos, m.Msg, m.Hint))
		}
		return all
	case interface{ Unwrap() []error }:
		var all []diagnostic
		for _, inner := range e.Unwrap() {
			all = append(all, diagnostics(file, inner)...)
		}
		return all
	}
	switch {
	case errors.As(err, &one):
		return []diagnostic{at(one.Pos, one.Msg, one.Hint)}
	case errors.As(err, &shape):
		return []diagnostic{at(shape.Pos, fmt.Sprintf("%s: %v", shape.Op, shape.Err), "")}
	}
	return []diagnostic{{File: file, Message: strings.TrimPrefix(err.Error(), file+": ")}}
}
