package data

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"
)

// Decoder turns ids into text. A *tokenizer.Tokenizer is one, and so are *Characters.
type Decoder interface {
	Decode(ids []int32, skipSpecial bool) (string, error)
}

// ShowOptions say what Show writes.
type ShowOptions struct {
	Batches int  // how many at most
	Color   bool // untrained text is dim; without, it stands in ⟦⟧
	JSON    bool // a RowText in each line
	Sheet   bool // of pictures, make a sheet of them
}

// Span is a stretch of tokens that are all trained or all not.
type Span struct {
	Text    string `json:"text"`
	Trained bool   `json:"trained"`
	Tokens  int    `json:"tokens"`
}

// RowText is a row of a batch as text.
type RowText struct {
	Batch     int64    `json:"batch"` // from 1
	Row       int      `json:"row"`   // from 1
	Documents [][]Span `json:"documents"`
	Used      int      `json:"used"`    // slots that are not padding
	Trained   int      `json:"trained"` // slots that the loss counts
	Padding   int      `json:"padding"`
}

// Show writes the next batches of a loader as text, with what the loss counts set apart from what it does not, the
// borders of documents (a line of ‖) and the padding.
func Show(w io.Writer, l *Loader, d Decoder, o ShowOptions) error {
	out := bufio.NewWriter(w)
	var b Batch
	for range o.Batches {
		if err := l.Next(&b); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		for row := range b.Rows {
			t, err := b.Text(row, d)
			if err != nil {
				return err
			}
			t.Batch = l.now.Step
			if o.JSON {
				err = json.NewEncoder(out).Encode(t)
			} else {
				err = t.write(out, o.Color)
			}
			if err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// Text is a row as text; its first token, which is no target, counts as untrained.
func (b *Batch) Text(row int, d Decoder) (*RowText, error) {
	t := &RowText{Row: row + 1, Documents: [][]Span{}}
	from := row * b.Seq
	for i := from; i < from+b.Seq; {
		n := i
		for n < from+b.Seq && b.Segments[n] == b.Segments[i] {
			n++
		}
		if b.Segments[i] < 0 {
			t.Padding += n - i
		} else {
			spans, err := b.spans(i, n, n < from+b.Seq, d)
			if err != nil {
				return nil, fmt.Errorf("row %d: %w", row+1, err)
			}
			t.Used += n - i
			t.Documents = append(t.Documents, spans)
		}
		i = n
	}
	for _, w := range b.Weights[from : from+b.Seq] {
		if w != 0 {
			t.Trained++
		}
	}
	return t, nil
}

// spans makes text of the slots from to end of one document; more says that slots follow in the row.
func (b *Batch) spans(from, end int, more bool, d Decoder) ([]Span, error) {
	ids, trained := []int32{b.IDs[from]}, []bool{false}
	for i := from; i < end; i++ {
		if i == end-1 && more && b.Weights[i] == 0 && b.Targets[i] == b.IDs[end] && b.Segments[end] >= 0 {
			break // the next document's first token
		}
		ids, trained = append(ids, b.Targets[i]), append(trained, b.Weights[i] != 0)
	}
	var out []Span
	for i := 0; i < len(ids); {
		n := i
		for n < len(ids) && trained[n] == trained[i] {
			n++
		}
		text, err := d.Decode(ids[i:n], false)
		if err != nil {
			return nil, err
		}
		out = append(out, Span{Text: text, Trained: trained[i], Tokens: n - i})
		i = n
	}
	return out, nil
}

func (t *RowText) write(w io.Writer, color bool) error {
	left, right := "⟦", "⟧"
	if color {
		left, right = "\x1b[2m", "\x1b[0m"
	}
	var s strings.Builder
	fmt.Fprintf(&s, "batch %d, row %d: documents %d, tokens %d, trained %d, padding %d\n", t.Batch, t.Row, len(t.Documents), t.Used, t.Trained, t.Padding)
	for i, spans := range t.Documents {
		if i > 0 {
			s.WriteString("\n‖\n")
		}
		for _, span := range spans {
			if span.Trained {
				s.WriteString(printable(span.Text))
			} else {
				s.WriteString(left + printable(span.Text) + right)
			}
		}
	}
	if t.Padding > 0 {
		fmt.Fprintf(&s, "\n%spadding %d%s", left, t.Padding, right)
	}
	s.WriteString("\n\n")
	_, err := io.WriteString(w, s.String())
	return err
}

// printable spells out what would change a terminal's state.
func printable(text string) string {
	if strings.IndexFunc(text, isControl) < 0 {
		return text
	}
	var s strings.Builder
	for _, r := range text {
		if isControl(r) {
			fmt.Fprintf(&s, "\\u%04x", r)
		} else {
			s.WriteRune(r)
		}
	}
	return s.String()
}

func isControl(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
