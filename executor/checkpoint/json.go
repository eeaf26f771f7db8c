package checkpoint

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"
)

// jsonReader reads JSON token by token, so that duplicate keys show and
// nothing is built that the caller does not ask for.
type jsonReader struct{ dec *json.Decoder }

// maxKey is the longest key, in bytes; tensors are named by keys, and messages
// hold those.
const maxKey = 1024

// maxAxes is the most numbers that an array may hold.
const maxAxes = 64

// readJSON parses text, one object and nothing after it, calling each with
// every key in turn; each must consume the value.
func readJSON(text []byte, each func(r jsonReader, key string) error) error {
	if !utf8.Valid(text) {
		return errors.New("is not UTF-8")
	}
	r := jsonReader{json.NewDecoder(bytes.NewReader(text))}
	r.dec.UseNumber()
	if err := r.object(func(key string) error { return each(r, key) }); err != nil {
		return err
	}
	switch _, err := r.dec.Token(); {
	case err == nil:
		return errors.New("has more after the JSON object")
	case err != io.EOF:
		return jsonError(err)
	}
	return nil
}

// object reads an object, calling each with every key.
func (r jsonReader) object(each func(key string) error) error {
	if err := r.delim('{', "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for r.dec.More() {
		tok, err := r.token()
		if err != nil {
			return err
		}
		key := tok.(string) // the decoder allows nothing else here
		if len(key) > maxKey {
			return fmt.Errorf("key %q has %d bytes, more than the limit of %d", short(key), len(key), maxKey)
		}
		if seen[key] {
			return fmt.Errorf("duplicate key %q", key)
		}
		seen[key] = true
		if err := each(key); err != nil {
			return err
		}
	}
	_, err := r.token()
	return err
}

// sizes reads an array of integers that are not negative, at most maxAxes.
func (r jsonReader) sizes(what string) ([]int64, error) {
	if err := r.delim('[', what+" as an array"); err != nil {
		return nil, err
	}
	out := []int64{}
	for r.dec.More() {
		tok, err := r.token()
		if err != nil {
			return nil, err
		}
		num, ok := tok.(json.Number)
		if !ok {
			return nil, fmt.Errorf("%s holds something other than a number", what)
		}
		n, err := strconv.ParseInt(num.String(), 10, 64)
		switch {
		case errors.Is(err, strconv.ErrRange):
			return nil, fmt.Errorf("%s holds %s, which is out of range", what, short(num.String()))
		case err != nil:
			return nil, fmt.Errorf("%s holds %s, which is not a whole number", what, short(num.String()))
		case n < 0:
			return nil, fmt.Errorf("%s holds the negative %d", what, n)
		}
		if len(out) == maxAxes {
			return nil, fmt.Errorf("%s holds more than %d numbers", what, maxAxes)
		}
		out = append(out, n)
	}
	_, err := r.token()
	return out, err
}

// text reads a string.
func (r jsonReader) text(what string) (string, error) {
	tok, err := r.token()
	if err != nil {
		return "", err
	}
	s, ok := tok.(string)
	if !ok {
		return "", fmt.Errorf("%s is not a string", what)
	}
	return s, nil
}

// skip reads a value of any kind and forgets it.
func (r jsonReader) skip() error {
	var raw json.RawMessage
	return jsonError(r.dec.Decode(&raw))
}

func (r jsonReader) delim(d json.Delim, what string) error {
	tok, err := r.token()
	if err != nil {
		return err
	}
	if tok != d {
		return fmt.Errorf("want %s", what)
	}
	return nil
}

func (r jsonReader) token() (json.Token, error) {
	tok, err := r.dec.Token()
	return tok, jsonError(err)
}

func jsonError(err error) error {
	if err == nil {
		return nil
	}
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return errors.New("is not JSON: it ends early")
	}
	return fmt.Errorf("is not JSON: %w", err)
}

// short cuts text of unbounded length for a message.
func short(s string) string {
	if len(s) > 40 {
		return s[:40] + "..."
	}
	return s
}
