package stage

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
)

// ImageWriteAttr describes how pictures become files.
type ImageWriteAttr struct {
	Quality  int  `cue:"quality: int & >=1 & <=100 | *95" doc:"of JPEG"`
	Document bool `cue:"document: bool | *true" doc:"keep in a PNG file the resolved document of this picture alone, its hash, its seed, what was set, and SHA-256 of all files that were read, so that pipe run repeats it"`
}

// The texts of a PNG file that say what made it.
const (
	DocumentText = "pipe:document" // CUE, with every default
	HashText     = "pipe:hash"     // of the document
	SeedText     = "pipe:seed"     // of its noise
	SetText      = "pipe:set"      // JSON, a list of NAME=VALUE
	FilesText    = "pipe:files"    // JSON, a list of {"file", "sha256"}
)

// texts are those of a picture.
func (d Document) texts() ([]image.Text, error) {
	list := []image.Text{{Key: HashText, Value: d.Hash}, {Key: DocumentText, Value: string(d.Resolved)}}
	if d.Seed != nil {
		list = append(list, image.Text{Key: SeedText, Value: strconv.Itoa(*d.Seed)})
	}
	add := func(key string, n int, v any) error {
		if n == 0 {
			return nil
		}
		text, err := json.Marshal(v)
		list = append(list, image.Text{Key: key, Value: string(text)})
		return err
	}
	if err := add(SetText, len(d.Set), d.Set); err != nil {
		return nil, err
	}
	return list, add(FilesText, len(d.Files), d.Files)
}

// ReadDocument gives what a picture says of what made it; nil if it says nothing.
func ReadDocument(p *image.Picture) (*Document, error) {
	d, found := &Document{}, false
	for _, t := range p.Text {
		var err error
		switch t.Key {
		case DocumentText:
			d.Resolved, found = []byte(t.Value), true
		case HashText:
			d.Hash = t.Value
		case SeedText:
			var seed int
			seed, err = strconv.Atoi(t.Value)
			d.Seed = &seed
		case SetText:
			err = json.Unmarshal([]byte(t.Value), &d.Set)
		case FilesText:
			err = json.Unmarshal([]byte(t.Value), &d.Files)
		}
		if err != nil {
			return nil, fmt.Errorf("its text %s is damaged: %w", t.Key, err)
		}
	}
	if !found {
		return nil, nil
	}
	return d, nil
}

func imageWrite() *Def {
	return &Def{
		Name: "image.write", Title: "ImageWrite", Result: Text,
		Doc: "writes pictures to files, .png or .jpg; of several, -0, -1 and so on stands before the extension. Alpha is kept in PNG, and becomes white in JPEG. Its text is the names of the files, one a line.",
		Ports: []Port{
			pictures(),
			{Name: "path", Doc: "the file; folders are made", Kinds: []Kind{Text}},
		},
		Attr: ImageWriteAttr{},
		Prepare: func(c *Call) error {
			path, ok := c.In["path"].(string)
			if !ok { // not known yet
				return nil
			}
			if err := image.Writes(path); err != nil {
				return fmt.Errorf("path is %q: %w", path, err)
			}
			return nil
		},
		Own: func(c *Call) int64 { // a picture as the encoder reads it
			list, _ := c.In["x"].([]*image.Picture)
			var most int64
			for _, p := range list {
				most = max(most, 4*int64(p.Width)*int64(p.Height)*int64(p.Bits()/8))
			}
			return most
		},
		Run: runImageWrite,
	}
}

func runImageWrite(ctx context.Context, c *Call) (Value, error) {
	list, ok := c.In["x"].([]*image.Picture)
	if !ok {
		return nil, errKind(c.In["x"], Images)
	}
	paths, err := texts("path", c.In["path"])
	if err != nil {
		return nil, err
	}
	a, path := c.Attr.(ImageWriteAttr), paths[0]
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return nil, checkpoint.FileError(path, err)
	}
	names := make([]string, len(list))
	for i, p := range list {
		if names[i] = path; len(list) > 1 {
			ext := filepath.Ext(path)
			names[i] = fmt.Sprintf("%s-%d%s", strings.TrimSuffix(path, ext), i, ext)
		}
		q := *p
		if q.Text, err = c.documentTexts(a, i, len(list), names[i]); err != nil {
			return nil, err
		}
		err := checkpoint.Replace(names[i], func(w io.Writer) error { return image.Write(&interruptible{ctx, w}, names[i], &q, a.Quality) })
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, err
		}
	}
	return strings.Join(names, "\n"), nil
}

// documentTexts are those of a picture of so many, if it is to say what made it.
func (c *Call) documentTexts(a ImageWriteAttr, i, n int, file string) ([]image.Text, error) {
	if !a.Document || c.Document == nil || !strings.EqualFold(filepath.Ext(file), ".png") {
		return nil, nil
	}
	d, err := c.Document(i, n, file)
	if err != nil {
		return nil, err
	}
	return d.texts()
}

// interruptible is a writer that fails once its context is done.
type interruptible struct {
	ctx context.Context
	w   io.Writer
}

func (i *interruptible) Write(data []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	return i.w.Write(data)
}
