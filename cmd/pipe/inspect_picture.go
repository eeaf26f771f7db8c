package main

import (
	"fmt"

	"pipe.dev/executor/data"
	"pipe.dev/schema"
)

// pictureReport is what pipe inspect shows of a picture.
type pictureReport struct {
	Path   string         `json:"path"`
	Width  int            `json:"width"`
	Height int            `json:"height"`
	Name   string         `json:"document"`
	Hash   string         `json:"hash"`
	Seed   *int           `json:"seed,omitempty"`
	Set    []string       `json:"set"`
	Files  []data.FileSum `json:"files"`
}

// inspectPicture says what made a picture.
func inspectPicture(c *console, file string, asJSON bool) error {
	from, err := documentIn(file)
	if err != nil {
		return err
	}
	doc, err := from.load(schema.Options{Unset: true})
	if err != nil {
		return err
	}
	r := pictureReport{file, from.picture.Width, from.picture.Height, doc.Name, doc.Hash, from.made.Seed,
		append([]string{}, from.made.Set...), append([]data.FileSum{}, from.made.Files...)}
	if asJSON {
		return c.writeJSON(r)
	}
	fmt.Fprintf(c.out, "picture    %s  %d x %d\ndocument   %s\nhash       %s\n", r.Path, r.Width, r.Height, printable(r.Name), r.Hash)
	if r.Seed != nil {
		fmt.Fprintf(c.out, "seed       %d\n", *r.Seed)
	}
	for _, s := range r.Set {
		fmt.Fprintf(c.out, "set        %s\n", printable(s))
	}
	for _, f := range r.Files {
		fmt.Fprintf(c.out, "file       %.12s  %s\n", f.SHA256, printable(f.File))
	}
	return nil
}
