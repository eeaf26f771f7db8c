package hub

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A model that is a single GGUF file is that file.
func TestPullGGUF(t *testing.T) {
	s := newServer(t, map[string]string{"README.md": "# model", "q4.gguf": "GGUF"})
	e := s.env()
	r, _, err := s.pull(e, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if path, err := e.Folder("some/model"); err != nil || path != filepath.Join(r.Folder, "q4.gguf") {
		t.Errorf("%s, %v", path, err)
	}
}

func TestChoose(t *testing.T) {
	names := []string{"config.json", "model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", "original/params.json", "x-q4.gguf", "onnx/model.onnx", "tokenizer.model", "a.png"}
	for _, c := range []struct {
		without          string
		include, exclude []string
		want             string
	}{
		{"", nil, nil, "config.json model.safetensors tokenizer.model"},
		{"safetensors", nil, nil, "config.json pytorch_model.bin pytorch_model.bin.index.json original/params.json tokenizer.model"},
		{"", []string{"*.bin"}, nil, "pytorch_model.bin"},
		{"", []string{"*"}, []string{"onnx/*", "*.png", "x-*"}, "config.json model.safetensors pytorch_model.bin pytorch_model.bin.index.json original/params.json tokenizer.model"},
		{"", nil, []string{"tokenizer*"}, "config.json model.safetensors"},
		{"", []string{"original/"}, nil, "original/params.json"},
	} {
		var files []File
		for _, n := range names {
			if c.without == "" || !strings.Contains(n, c.without) {
				files = append(files, File{Path: n})
			}
		}
		got, err := choose(files, c.include, c.exclude)
		var list []string
		for _, f := range got {
			list = append(list, f.Path)
		}
		if err != nil || strings.Join(list, " ") != c.want {
			t.Errorf("%v: %v, %v, want %s", c, list, err, c.want)
		}
	}
	if _, err := choose(nil, []string{"[a"}, nil); err == nil {
		t.Error("[a is taken for a pattern")
	}
}

func TestNames(t *testing.T) {
	for text, want := range map[string]Name{
		"a/b": {"a", "b", "main"}, "HuggingFaceTB/SmolLM2-135M@refs/pr/1": {"HuggingFaceTB", "SmolLM2-135M", "refs/pr/1"}, "x/y@v1.0": {"x", "y", "v1.0"},
	} {
		if got, err := Parse(text); err != nil || got != want {
			t.Errorf("%s: %+v, %v, want %+v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "a", "a/b/c", "../b", "a/..", "a--b/c", "/a/b", "a/b@", "a/b@../x", "a/b@/x", "a/b@x y", "./model", "a/b\n", "a/.b", "C:\\x/y"} {
		if got, err := Parse(text); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestFromEnvironment(t *testing.T) {
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "token"), []byte("hf_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		set  map[string]string
		want Env
	}{
		{map[string]string{"HF_HOME": home}, Env{"https://huggingface.co", filepath.Join(home, "hub"), "hf_file", false}},
		{map[string]string{"HF_HOME": home, "HF_TOKEN": "hf_env", "HF_ENDPOINT": "http://mirror:8080/", "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": "/cache"},
			Env{"http://mirror:8080", "/cache", "hf_env", true}},
	} {
		got, err := FromEnvironment(func(name string) string { return c.set[name] })
		if err != nil || got != c.want {
			t.Errorf("%v: %+v, %v", c.set, got, err)
		}
	}
	if _, err := FromEnvironment(func(name string) string { return map[string]string{"HF_HOME": home, "HF_ENDPOINT": "ftp://x"}[name] }); err == nil {
		t.Error("an address of FTP is taken")
	}
}
