package executor

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/hub"
	"pipe.dev/schema"
)

// provePart tells that a part of a folder is not there, and what to do then.
func provePart(f *schema.Folder, path string) error {
	if f == nil || f.Path == "" || path == "" {
		return nil
	}
	part, err := filepath.Rel(f.Path, path)
	if err != nil || !filepath.IsLocal(part) {
		return nil
	}
	dir, err := hub.Folder(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err == nil || !os.IsNotExist(err) {
		return nil
	}
	msg := "no such folder, in the folder of the pipeline"
	if hint := f.Absent[filepath.ToSlash(part)]; hint != "" {
		msg += "; " + hint
	}
	return &checkpoint.Error{File: path, Msg: msg}
}

// proveFolder compares what the model_index.json of a folder says that it is with
// what a document is for. A folder without such a file proves itself by its models.
func proveFolder(f *schema.Folder) error {
	if f == nil || f.Path == "" {
		return nil
	}
	dir, err := hub.Folder(f.Path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(dir); err != nil {
		return checkpoint.FileError(dir, err)
	}
	file := filepath.Join(dir, "model_index.json")
	r, err := os.Open(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return checkpoint.FileError(file, err)
	}
	defer r.Close()
	const most = 1 << 20 // bytes
	data, err := io.ReadAll(io.LimitReader(r, most))
	if err != nil {
		return checkpoint.FileError(file, err)
	}
	var index struct {
		Class string `json:"_class_name"`
	}
	if err := json.Unmarshal(data, &index); err != nil {
		return &checkpoint.Error{File: file, Msg: fmt.Sprintf("JSON: %v", err)}
	}
	switch {
	case index.Class == "" || slices.Contains(f.Classes, index.Class):
		return nil
	case f.Documents[index.Class] != "":
		return &checkpoint.Error{File: file, Msg: fmt.Sprintf("it is a %s, which %s runs", index.Class, f.Documents[index.Class])}
	}
	return &checkpoint.Error{File: file, Msg: fmt.Sprintf("it is a %s; this document is for %s", index.Class, strings.Join(f.Classes, ", "))}
}
