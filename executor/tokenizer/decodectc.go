package tokenizer

import (
	"bytes"
	"strings"
)

// ctc joins what connectionist temporal classification gives: equal tokens in a row are one, padding vanishes; with
// cleanup, the delimiter of words becomes a space. Source: Graves et al., ICML 2006.
type ctc struct {
	pad, delimiter string
	clean          bool
}

func readCTC(_ *config, o object) ([]decoder, error) {
	c := &ctc{pad: "<pad>", delimiter: "|"}
	for key, to := range map[string]*string{"pad_token": &c.pad, "word_delimiter_token": &c.delimiter} {
		if v := o.byName[key]; !v.absent() {
			s, err := v.str()
			if err == nil && s == "" {
				err = v.errorf("is empty")
			}
			if err != nil {
				return nil, err
			}
			*to = s
		}
	}
	var err error
	c.clean, err = o.boolean("cleanup", true)
	return []decoder{c}, err
}

func (*ctc) fuses() bool { return false }

func (c *ctc) open(next sink, fused bool) sink {
	return wholeIf(fused, &ctcText{ctc: c, next: next, artifacts: artifacts()})
}

type ctcText struct {
	*ctc
	next      sink
	artifacts [][2]string
	some      bool
	last      []byte
}

func (c *ctcText) push(token []byte) error {
	if c.some && bytes.Equal(token, c.last) {
		return nil
	}
	c.some, c.last = true, append(c.last[:0], token...)
	text := strings.ReplaceAll(string(token), c.pad, "")
	if c.clean {
		text = strings.ReplaceAll(clearArtifacts(c.artifacts, text), c.delimiter, " ")
	}
	if text == "" {
		return nil
	}
	return c.next.push([]byte(text))
}

func (c *ctcText) flush() error { return c.next.flush() }
