package stage

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/image"
)

// ImageWriteAttr describes how pictures become files.
type ImageWriteAttr struct {
	Quality  int  `cue:"quality: int & >=1 & <=100 | *95" doc:"of JPEG"`
	Document bool `cue:"document: bool | *true" doc:"keep the resolved document and its hash in a PNG file, so that pipe run repeats it"`
}

// The texts of a PNG file that say which document made it.
const (
	DocumentText = "pipe:document"
	HashText     = "pipe:hash"
)

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
		if q.Text = nil; a.Document && c.Document.Hash != "" {
			q.Text = []image.Text{{Key: HashText, Value: c.Document.Hash}, {Key: DocumentText, Value: string(c.Document.Resolved)}}
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
