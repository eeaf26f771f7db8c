package image

import (
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

// Write writes a picture to w in the format that a file of this name has. Quality, from 1 to 100,
// is that of JPEG.
func Write(w io.Writer, path string, p *Picture, quality int) error {
	if err := Writes(path); err != nil {
		return err
	}
	if strings.EqualFold(filepath.Ext(path), ".png") {
		return EncodePNG(w, p)
	}
	return EncodeJPEG(w, p, quality)
}
