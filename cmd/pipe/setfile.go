package main

import (
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pipe.dev/executor/checkpoint"
)

// largestSet bounds a file that an input is set to, in bytes.
const largestSet = 64 << 20

// setFile is the flag --set-file NAME=PATH: --set with the text of a file, or of
// stdin where PATH is -.
type setFile struct {
	cmd *cobra.Command
	set *[]string
}

// String is the value without the flag.
func (setFile) String() string { return "" }

// Type is what the flag takes.
func (setFile) Type() string { return "NAME=PATH" }

// Set reads a file.
func (s setFile) Set(text string) error {
	name, path, ok := strings.Cut(text, "=")
	if !ok || name == "" || path == "" {
		return dataErrorf("--set-file %s: want NAME=PATH", text)
	}
	r := s.cmd.InOrStdin()
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return checkpoint.FileError(path, err)
		}
		defer f.Close()
		r = f
	}
	data, err := io.ReadAll(io.LimitReader(r, largestSet+1))
	switch {
	case err != nil:
		return checkpoint.FileError(path, err)
	case len(data) > largestSet:
		return dataErrorf("--set-file %s: the file has more than %d MiB", text, largestSet>>20)
	case !utf8.Valid(data):
		return dataErrorf("--set-file %s: the file is not text in UTF-8", text)
	}
	*s.set = append(*s.set, name+"="+string(data))
	return nil
}
