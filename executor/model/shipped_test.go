package model

import (
	"context"
	"os"
	"strings"
	"testing"

	"pipe.dev/executor/sampler"
)

// TestShipped asks the model that ships with pipe the problems that it has
// never seen: at least 95% of the answers must be right.
func TestShipped(t *testing.T) {
	text, err := os.ReadFile("../../recipes/data/arithmetic_heldout.txt")
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	m, _ := open(t, "../../models/tiny-llama", 1, "")
	if err := m.Text(); err != nil {
		t.Fatal(err)
	}
	if err := m.Load(ctx); err != nil {
		t.Fatal(err)
	}
	g, err := m.Generator()
	if err != nil {
		t.Fatal(err)
	}
	tok, err := m.Tokenizer()
	if err != nil {
		t.Fatal(err)
	}
	s, err := sampler.New(g.Vocab(), sampler.Options{})
	if err != nil {
		t.Fatal(err)
	}
	right, all := 0, 0
	for line := range strings.Lines(string(text)) {
		problem, want, _ := strings.Cut(strings.TrimSpace(line), "=")
		ids, err := tok.Encode(nil, problem+"=", true)
		if err != nil {
			t.Fatal(err)
		}
		if err := g.Start(ctx, ids, 6); err != nil {
			t.Fatal(err)
		}
		got := ""
		for len(got) < 6 && !strings.HasSuffix(got, ".") {
			id, err := g.Next(s)
			if err == nil {
				err = g.Push(ctx, id)
			}
			if err != nil {
				t.Fatal(err)
			}
			piece, _ := tok.Token(id)
			got += piece
		}
		if all++; got == want {
			right++
		}
	}
	t.Logf("%d of %d right", right, all)
	if all < 2000 || right*100 < all*95 {
		t.Errorf("%d of %d answers are right, want 95%%", right, all)
	}
}
