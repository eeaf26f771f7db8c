package checkpoint

import (
	"bytes"
	"errors"
)

// sniffed returns an error that says what the file that begins with start is
// instead, if that can be told, and fact otherwise.
func sniffed(start []byte, fact string) error {
	if is := lookalike(start); is != "" {
		return errors.New(is)
	}
	return errors.New(fact)
}

// lookalike names what often lies where weights should be.
func lookalike(start []byte) string {
	text := bytes.ToLower(bytes.TrimSpace(bytes.TrimPrefix(start, []byte("\xef\xbb\xbf"))))
	for _, l := range []struct{ magic, is string }{
		{"version https://git-lfs", "is a Git LFS pointer, not the file itself: fetch it with git lfs pull"},
		{"<!doctype", "is an HTML page, not the file itself: was a download refused?"},
		{"<html", "is an HTML page, not the file itself: was a download refused?"},
		{"<?xml", "is an XML page, not the file itself: was a download refused?"},
		{"{", "is JSON text, not safetensors"},
		{"gguf", "is a GGUF file, not safetensors"},
		{"\x89hdf", "is an HDF5 file, not safetensors"},
	} {
		if bytes.HasPrefix(text, []byte(l.magic)) {
			return l.is
		}
	}
	return ""
}
