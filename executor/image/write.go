package image

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Writes reports whether pictures can be written to a file of this name, and why not.
func Writes(path string) error {
	switch strings.ToLower(filepath.Ext(path)) {
	case ".png", ".jpg", ".jpeg":
		return nil
	}
	return fmt.Errorf("extension %q is not one of .png, .jpg, .jpeg", filepath.Ext(path))
}

// Encode writes a picture in the format that a file of this name has. Quality, from 1 to 100,
// is that of JPEG.
func Encode(path string, p *Picture, quality int) ([]byte, error) {
	if err := Writes(path); err != nil {
		return nil, err
	}
	var b bytes.Buffer
	write := func(w io.Writer) error { return EncodeJPEG(w, p, quality) }
	if strings.EqualFold(filepath.Ext(path), ".png") {
		write = func(w io.Writer) error { return EncodePNG(w, p) }
	}
	err := write(&b)
	return b.Bytes(), err
}
