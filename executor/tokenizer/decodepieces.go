package tokenizer

import (
	"bytes"
	"strings"
)

// readWordPieceDecoder joins the tokens marked by the prefix to what they follow and puts a space before the others;
// with cleanup, spaces before English punctuation and contractions vanish.
func readWordPieceDecoder(_ *config, o object) ([]decoder, error) {
	text := "##"
	if !o.byName["prefix"].absent() {
		var err error
		if text, err = o.str("prefix"); err != nil {
			return nil, err
		}
	}
	prefix := []byte(text)
	clean, err := o.boolean("cleanup", true)
	if err != nil {
		return nil, err
	}
	return []decoder{wordPieceDecoder(prefix, clean)}, nil
}

func wordPieceDecoder(prefix []byte, clean bool) decoder {
	artifacts := artifacts()
	return edit{func(dst, token []byte, n int) ([]byte, error) {
		if n > 0 {
			rest, joined := bytes.CutPrefix(token, prefix)
			if !joined {
				dst = append(dst, ' ')
			}
			token = rest
		}
		start := len(dst)
		dst = append(dst, token...)
		if !clean || len(token) > 0 && start > 0 && plainStart(token) {
			return dst, nil
		}
		if start > 0 && dst[start-1] == ' ' {
			start--
		}
		return append(dst[:start], clearArtifacts(artifacts, string(dst[start:]))...), nil
	}}
}

// plainStart tells a token of letters, of which none begins an artifact.
func plainStart(token []byte) bool {
	if token[0] == 'n' || token[0] == 'd' {
		return false
	}
	for _, c := range token {
		if c < 'a' || c > 'z' {
			return false
		}
	}
	return true
}

// artifacts are the spaces that splitting English leaves, each with its cure, in the order in which they are cured.
func artifacts() [][2]string {
	return [][2]string{
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	}
}

func clearArtifacts(all [][2]string, s string) string {
	some := false
	for i := 1; i < len(s) && !some; i++ {
		some = s[i-1] == ' ' && strings.IndexByte(".?!,'nd", s[i]) >= 0 // as all of them begin
	}
	if !some {
		return s
	}
	for _, a := range all {
		s = strings.ReplaceAll(s, a[0], a[1])
	}
	return s
}
