package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
	"pipe.dev/executor/stage"
	"pipe.dev/schema"
)

// origin is where a document comes from: a file of CUE, or a picture that holds it.
type origin struct {
	name    string            // what messages call the document
	source  map[string][]byte // it by that name, out of a picture; else nil
	made    stage.Document    // what the picture says of itself
	picture *image.Picture
}

// documentIn gives the document that a PNG file says it was made by; of a file of another kind, the
// file itself.
func documentIn(file string) (*origin, error) {
	if !isPNG(file) {
		return &origin{name: file}, nil
	}
	p, err := image.Read(file, image.Options{Stored: true})
	if err != nil {
		return nil, err
	}
	made, err := stage.ReadDocument(p)
	if err != nil {
		return nil, checkpoint.FileError(file, err)
	}
	if made == nil {
		return nil, checkpoint.FileError(file, errors.New("does not say which document made it; pipe run repeats pictures that image.write wrote"))
	}
	name := file + ".cue"
	return &origin{name, map[string][]byte{name: made.Resolved}, *made, p}, nil
}

func isPNG(file string) bool { return strings.EqualFold(filepath.Ext(file), ".png") }

// load is schema.Load of the document, with more settings.
func (o *origin) load(s schema.Options) (*schema.Document, error) {
	s.Source = o.source
	doc, err := schema.Load(o.name, s)
	if err != nil {
		return nil, documentError(err)
	}
	if o.source != nil {
		return doc, settable(o.name, doc, s.Set)
	}
	return doc, nil
}

// unchanged proves that the files which a run reads are those that the picture was made of.
func (o *origin) unchanged(p *executor.Pipeline) error {
	files := p.Files()
	for _, was := range o.made.Files {
		if !slices.Contains(files, was.File) {
			continue // the document was changed
		}
		now, err := p.Sum(was.File)
		if err != nil {
			return err
		}
		if now.SHA256 != was.SHA256 {
			file := strings.TrimSuffix(o.name, ".cue")
			return dataErrorf("%s: %s has changed since the picture was made: its SHA-256 is %.12s, and was %.12s; bring it back, or run the document by itself, which pipe plan --resolved %s prints",
				file, was.File, now.SHA256, was.SHA256, file)
		}
	}
	return nil
}

// amended gives a resolved document with more settings, and its hash.
func amended(resolved []byte, set []string) ([]byte, string, error) {
	const name = "resolved.cue"
	doc, err := schema.Load(name, schema.Options{Set: set, Source: map[string][]byte{name: resolved}})
	if err != nil {
		return nil, "", err
	}
	return doc.Resolved(), doc.Hash, nil
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
			return &usageError{"pipe", fmt.Sprintf("--set %s: %s holds the document with all values filled in, where no stage reads this input; set the stage's field, as in --set nodes.NAME.%s=VALUE", name, file, name)}
		}
	}
	return nil
}
