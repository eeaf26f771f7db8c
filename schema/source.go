package schema

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"unicode/utf8"

	"cuelang.org/go/cue/ast"
	"cuelang.org/go/cue/parser"

	"pipe.dev/compiler/ir"
)

// source is a document's text.
type source struct {
	name string // as the caller spells it; positions carry it
	abs  string // where the loader finds it
	data []byte
	file *ast.File
	// labels are those of file as it was written.
	labels labels
	// shown is what messages are about where the text is not a person's: a
	// config.json; "" otherwise.
	shown string
	// config is that file.
	config *ast.StructLit
	// fill puts what is not text into a parsed file; nil if there is nothing.
	fill func(*ast.File)
}

// readSource reads and parses a document. What is wrong with the file as such
// is an error of one line; what is wrong in its text is Errors.
func readSource(name string, o Options) (*source, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	s := &source{name: name, abs: abs}
	data, given := o.Source[name]
	if !given {
		if data, err = readFile(name); err != nil {
			return nil, err
		}
	}
	s.data = data
	return s, s.parse()
}

// readFile is os.ReadFile with errors that begin with the file.
func readFile(name string) ([]byte, error) {
	if info, err := os.Stat(name); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%s: is a folder, want a file", name)
	}
	data, err := os.ReadFile(name)
	if err == nil {
		return data, nil
	}
	return nil, pathError(name, err)
}

// pathError names the file that an error of the system is about, once.
func pathError(name string, err error) error {
	if err == nil {
		return nil
	}
	var at *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &at):
		err = at.Err
	case errors.As(err, &link):
		err = link.Err
	}
	return fmt.Errorf("%s: %w", name, err)
}

func (s *source) parse() error {
	if at := invalidUTF8(s.data); at >= 0 {
		return Errors{{Pos: placeAt(s.name, s.data, at), Msg: fmt.Sprintf("byte 0x%02x is not UTF-8 text", s.data[at])}}
	}
	file, err := parser.ParseFile(s.name, s.data, parser.ParseComments)
	if err != nil {
		return syntaxErrors(s, err)
	}
	if len(file.Decls) == 0 {
		return Errors{{Pos: ir.Pos{File: s.name}, Msg: "is empty, want a CUE document"}}
	}
	s.file, s.labels = file, labelsOf(file)
	return nil
}

// invalidUTF8 returns the offset of the first byte that is no UTF-8, or -1.
func invalidUTF8(data []byte) int {
	for at := 0; at < len(data); {
		r, size := utf8.DecodeRune(data[at:])
		if r == utf8.RuneError && size == 1 {
			return at
		}
		at += size
	}
	return -1
}

func placeAt(name string, data []byte, offset int) ir.Pos {
	before := data[:offset]
	return ir.Pos{
		File: name,
		Line: bytes.Count(before, []byte("\n")) + 1,
		Col:  offset - bytes.LastIndexByte(before, '\n'),
	}
}
