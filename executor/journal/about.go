package journal

import (
	"encoding/json"
	"path/filepath"
	"time"
)

// About is what run.json says.
type About struct {
	Name     string            `json:"name"`
	Hash     string            `json:"hash"` // of the resolved document
	Started  time.Time         `json:"started"`
	Finished time.Time         `json:"finished,omitzero"`
	Version  string            `json:"pipe,omitempty"`
	Steps    int64             `json:"steps,omitempty"` // planned
	Host     map[string]string `json:"host,omitempty"`
}

// encode returns the content of run.json.
func (a About) encode() ([]byte, error) {
	data, err := json.MarshalIndent(a, "", "  ")
	return append(data, '\n'), err
}

func readAbout(d filesystem, folder string) (About, error) {
	path := filepath.Join(folder, aboutName)
	var a About
	if info, err := d.stat(folder); err == nil && !info.IsDir() {
		return a, errorf(folder, "is not a folder")
	}
	data, err := readFile(d, path)
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(data, &a); err != nil {
		return a, errorf(path, "does not describe a run: %s", oneLine(err))
	}
	if a.Name == "" || a.Hash == "" {
		return a, errorf(path, "does not describe a run: name or hash is missing")
	}
	return a, nil
}

// writeAbout replaces run.json.
func (r *Run) writeAbout(about About) error {
	data, err := about.encode()
	if err != nil {
		return fileError(r.path(aboutName), err)
	}
	if err := replaceFile(r.disk, r.path(aboutName), data); err != nil {
		return err
	}
	r.About = about
	return nil
}
