package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"pipe.dev/executor/hub"
	"pipe.dev/executor/model"
	"pipe.dev/executor/tokenizer"
)

// stdin is how errors name the standard input.
const stdin = "stdin"

func tokenizeCommand(c *console) *cobra.Command {
	var decode, asJSON, noSpecial, tokens, inBytes, overflow bool
	cmd := &cobra.Command{
		Use:   "tokenize PATH",
		Short: "turn text on stdin into token ids, or ids into text",
		Long: "tokenize reads a text from each line of stdin and writes its ids, separated by spaces, on a line.\n" +
			"With --decode it reads such lines of ids and writes their text. With --json both sides are one\n" +
			"JSON array: of strings, and of arrays of ids.\n\n" +
			"PATH is a tokenizer.json, a SentencePiece .model, a .tiktoken (with the patterns of words in PATH.json\n" +
			"where its name is not known), the merges of CLIP, or a .gguf; or a folder that holds one.\n\n" +
			"With --tokens each token has a line: its id, what it is, and which characters of the text it stands\n" +
			"for. With --json, too, texts give objects with all that is known of their tokens; a pair of texts is\n" +
			"an array of two.\n\n" +
			"A line ends at a newline, which is no part of the text; a text that holds newlines needs --json.",
		Example: "  echo 'Once upon a time' | pipe tokenize model\n  echo 'Once upon a time' | pipe tokenize model --tokens\n" +
			"  pipe tokenize model --json <texts.json | pipe tokenize model --decode --json",
		Args:              arguments("PATH"),
		ValidArgsFunction: completeExtension("json", "model", "tiktoken", "gguf"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if decode && (tokens || inBytes || overflow) {
				return usagef(cmd, "--decode has no use for --tokens, --bytes and --overflow, which show what a text becomes")
			}
			folder, err := hub.Folder(args[0])
			if err != nil {
				return err
			}
			t, err := model.OpenTokenizer(folder)
			if err != nil {
				return err
			}
			in, done := c.input(cmd.Context(), "tokenize")
			defer done()
			tr := encoder(t, !noSpecial, asJSON)
			switch {
			case decode:
				tr = decoder(t, noSpecial, asJSON)
			case tokens || inBytes || overflow:
				tr = tracer(t, tokenizer.EncodeOptions{Special: !noSpecial, Bytes: inBytes, Overflow: overflow}, asJSON)
			}
			w := bufio.NewWriterSize(c.out, blockSize)
			if asJSON {
				err = eachItem(cmd.Context(), in, w, tr)
			} else {
				err = eachLine(cmd.Context(), in, w, tr)
			}
			return errors.Join(w.Flush(), err)
		},
	}
	cmd.Flags().BoolVarP(&decode, "decode", "d", false, "turn ids into text")
	cmd.Flags().BoolVar(&tokens, "tokens", false, "show each token with its place in the text")
	cmd.Flags().BoolVar(&inBytes, "bytes", false, "--tokens, with places in bytes rather than characters")
	cmd.Flags().BoolVar(&overflow, "overflow", false, "--tokens, and what truncation cuts off, in pieces")
	cmd.Flags().BoolVar(&asJSON, "json", false, "read and write JSON arrays")
	cmd.Flags().BoolVar(&noSpecial, "no-special", false, "do not add tokens such as the begin of text; with --decode, leave special tokens out")
	return cmd
}

// translate turns one text into one output, or back. It appends to dst, and
// gets a line as it stands or one JSON value.
type translate func(dst, text []byte) ([]byte, error)

// encoder translates text to ids.
func encoder(t *tokenizer.Tokenizer, special, asJSON bool) translate {
	var ids []int32
	return func(dst, text []byte) ([]byte, error) {
		s := string(text)
		var err error
		if asJSON {
			if s, err = jsonString(text); err != nil {
				return dst, err
			}
		}
		if ids, err = t.Encode(ids[:0], s, special); err != nil {
			return dst, err
		}
		separator := byte(' ')
		if asJSON {
			separator = ','
			dst = append(dst, '[')
		}
		for i, id := range ids {
			if i > 0 {
				dst = append(dst, separator)
			}
			dst = strconv.AppendInt(dst, int64(id), 10)
		}
		if asJSON {
			dst = append(dst, ']')
		}
		return dst, nil
	}
}

// jsonString reads a JSON string.
func jsonString(text []byte) (s string, err error) {
	if err := json.Unmarshal(text, &s); err != nil || len(text) == 0 || text[0] != '"' {
		return "", fmt.Errorf("%s is not a string", excerpt(text))
	}
	if at := loneSurrogate(text); at >= 0 {
		return "", fmt.Errorf("%s is half a character: its other half is missing", text[at:at+6])
	}
	return s, nil
}

// loneSurrogate returns where in a valid JSON string an escape stands that is
// half of a surrogate pair without the other half, or -1. encoding/json would
// replace it without a word.
func loneSurrogate(text []byte) int {
	unit := func(i int) rune {
		if i+6 > len(text) || text[i] != '\\' || text[i+1] != 'u' {
			return 0
		}
		n, err := strconv.ParseUint(string(text[i+2:i+6]), 16, 16)
		if err != nil {
			return 0
		}
		return rune(n)
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '\\' {
			continue
		}
		switch u := unit(i); {
		case !utf16.IsSurrogate(u):
			i++ // over what is escaped
		case utf16.DecodeRune(u, unit(i+6)) == utf8.RuneError:
			return i
		default:
			i += 11
		}
	}
	return -1
}

// decoder translates ids to text.
func decoder(t *tokenizer.Tokenizer, skipSpecial, asJSON bool) translate {
	var ids []int32
	return func(dst, text []byte) ([]byte, error) {
		ids = ids[:0]
		if asJSON {
			if err := json.Unmarshal(text, &ids); err != nil || len(text) == 0 || text[0] != '[' {
				return dst, fmt.Errorf("%s is not an array of ids", excerpt(text))
			}
		} else {
			for field := range strings.FieldsSeq(string(text)) {
				id, err := strconv.ParseInt(field, 10, 32)
				if err != nil {
					return dst, fmt.Errorf("%s is not an id", excerpt([]byte(field)))
				}
				ids = append(ids, int32(id))
			}
		}
		s, err := t.Decode(ids, skipSpecial)
		if err != nil {
			return dst, err
		}
		if !asJSON {
			return append(dst, s...), nil
		}
		var quoted strings.Builder
		e := json.NewEncoder(&quoted)
		e.SetEscapeHTML(false)
		if err := e.Encode(s); err != nil {
			return dst, err
		}
		return append(dst, strings.TrimSuffix(quoted.String(), "\n")...), nil
	}
}

// excerpt quotes the start of bad input.
func excerpt(text []byte) string {
	const longest = 40
	if len(text) > longest {
		return fmt.Sprintf("%q...", text[:longest])
	}
	return fmt.Sprintf("%q", text)
}
