package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
	"pipe.dev/executor/stage"
	"pipe.dev/schema"
)

// documentIn gives the document that a PNG file says it was made by, and what it is called; of a
// file of another kind, the file itself and nothing.
func documentIn(file string) (name string, source map[string][]byte, err error) {
	if !strings.EqualFold(filepath.Ext(file), ".png") {
		return file, nil, nil
	}
	p, err := image.Read(file, image.Options{Stored: true})
	if err != nil {
		return "", nil, err
	}
	name = file + ".cue"
	for _, t := range p.Text {
		if t.Key == stage.DocumentText {
			return name, map[string][]byte{name: []byte(t.Value)}, nil
		}
	}
	return "", nil, checkpoint.FileError(file, errors.New("does not say which document made it; pipe run repeats pictures that image.write wrote"))
}

// settable proves that what --set says reaches the stages of a document out of a picture: it is
// resolved, so an input that configured stages does so no more.
func settable(file string, doc *schema.Document, set []string) error {
	for _, s := range set {
		name, _, _ := strings.Cut(s, "=")
		if doc.Pipeline == nil || strings.Contains(name, ".") {
			continue
		}
		token, read := "inputs."+name, false
		for _, st := range doc.Pipeline.Stages {
			for _, v := range st.Fields {
				read = read || v == token
				if list, ok := v.(map[string]any); ok {
					for _, v := range list {
						read = read || v == token
					}
				}
			}
		}
		if !read {
			return fmt.Errorf("--set %s: %s holds the document with all values filled in, where no stage reads this input; set the stage's field, as in --set nodes.NAME.%s=VALUE", name, file, name)
		}
	}
	return nil
}
