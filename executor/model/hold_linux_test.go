package model

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestReleasePages: the pages of a mapped file count as memory of the process while a model is held, and no longer.
func TestReleasePages(t *testing.T) {
	dir := filepath.Join(golden, "pictures", "unet_condition", "model")
	m, _ := open(t, dir, 2, "")
	if _, err := m.Call(map[string]int{"batch": 1, "height": 2, "width": 2, "tokens": 3}, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := m.Load(context.Background()); err != nil {
		t.Fatal(err)
	}
	if kib := resident(t, "unet_condition/model/"); kib == 0 {
		t.Error("no page of the file is held")
	}
	if err := m.Release(); err != nil {
		t.Fatal(err)
	}
	if kib := resident(t, "unet_condition/model/"); kib != 0 {
		t.Errorf("%d KiB of the file are held after Release", kib)
	}
}

// resident is the KiB of mapped files in this process whose path has a part.
func resident(t *testing.T, part string) (kib int) {
	t.Helper()
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	s, ours := bufio.NewScanner(f), false
	for s.Scan() {
		line := s.Text()
		if n := 0; strings.HasPrefix(line, "Rss:") && ours {
			if _, err := fmt.Sscanf(line, "Rss: %d kB", &n); err != nil {
				t.Fatal(err)
			}
			kib += n
		} else if first, _, _ := strings.Cut(line, " "); strings.Contains(first, "-") {
			ours = strings.Contains(line, part)
		}
	}
	return kib
}
