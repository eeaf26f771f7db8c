package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// line is one line that was read. More of its message follows where it was
// pasted among others, or ends with \.
type line struct {
	text string
	more bool
	err  error // io.EOF at the end, errDropped
}

// errDropped says that what was typed was thrown away, by Ctrl-C.
var errDropped = errors.New("dropped")

// lines reads a line whenever it is asked to; between, a terminal is as it
// was, so that Ctrl-C is a signal.
type lines struct {
	ask   chan string // prompts
	found chan line
	close func() // puts the terminal back

	edited bool // Ctrl-C is a key, not a signal, while a line is read
}

// newLines reads a console: with line editing, history and pasting where
// both the input and the errors, which show it, are a terminal.
func newLines(c *console) *lines {
	l := &lines{ask: make(chan string), found: make(chan line, 1), close: func() {}}
	read := plainLines(c)
	if isTerminal(c.in) && isTerminal(c.errs) && os.Getenv("TERM") != "dumb" {
		l.edited = true
		e := newEditor(c.in.(*os.File), c.errs)
		read, l.close = e.read, e.close
	}
	go func() {
		for prompt := range l.ask {
			l.found <- read(prompt)
		}
	}()
	return l
}

// plainLines reads lines as they come.
func plainLines(c *console) func(prompt string) line {
	in := bufio.NewScanner(c.in)
	in.Buffer(nil, 16<<20)
	return func(prompt string) line {
		if isTerminal(c.in) {
			fmt.Fprint(c.errs, prompt)
		}
		if !in.Scan() {
			if err := in.Err(); err != nil {
				return line{err: err}
			}
			return line{err: io.EOF}
		}
		return continued(in.Text())
	}
}

// continued is a line, which goes on if it ends with \.
func continued(text string) line {
	rest, more := strings.CutSuffix(text, `\`)
	return line{text: rest, more: more}
}

// editor reads lines of a terminal: arrow keys move and go through what was
// typed before, what is pasted is one message, tab completes commands, Ctrl-C
// throws away what was typed, and ends where nothing was.
type editor struct {
	term    *term.Terminal
	file    *os.File
	shown   io.Writer
	put     chan *term.State // holds the state to go back to, nil if it is there
	dropped *string          // what Ctrl-C threw away
}

func newEditor(file *os.File, shown io.Writer) *editor {
	e := &editor{file: file, shown: shown, put: make(chan *term.State, 1)}
	e.put <- nil
	e.term = term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{&keys{from: file}, shown}, "")
	e.term.AutoCompleteCallback = e.key
	e.term.History = &history{}
	return e
}

// read reads one line.
func (e *editor) read(prompt string) line {
	<-e.put
	old, err := term.MakeRaw(int(e.file.Fd()))
	e.put <- old
	if err != nil {
		return line{err: err}
	}
	defer e.close()
	if width, height, err := term.GetSize(int(e.file.Fd())); err == nil && width > 0 {
		_ = e.term.SetSize(width, height) // it can only fail to redraw
	}
	e.term.SetBracketedPasteMode(true)
	e.term.SetPrompt(prompt)
	e.dropped = nil
	text, err := e.term.ReadLine()
	switch {
	case errors.Is(err, term.ErrPasteIndicator):
		return line{text: text, more: true}
	case err != nil:
		_, _ = io.WriteString(e.shown, "\r\n")
		return line{err: err}
	case e.dropped != nil:
		return line{text: *e.dropped, err: errDropped}
	}
	return continued(text)
}

// close puts the terminal back to what it was; again does nothing.
func (e *editor) close() {
	if old := <-e.put; old != nil {
		e.term.SetBracketedPasteMode(false)
		_ = term.Restore(int(e.file.Fd()), old) // nothing else can be done
	}
	e.put <- nil
}

// key is told of keys that the terminal itself does nothing with.
func (e *editor) key(text string, pos int, key rune) (string, int, bool) {
	switch key {
	case dropKey:
		e.dropped = &text
		return "", 0, true
	case '\t':
		if name := completed(text); pos == len(text) && name != "" {
			return name, len(name), true
		}
		return text, pos, true
	}
	return "", 0, false
}

// completed is the only command that begins so, and a space; "" if none or several do.
func completed(text string) (found string) {
	for _, name := range chatCommands {
		if text == "" || !strings.HasPrefix(name, text) {
			continue
		}
		if found != "" {
			return ""
		}
		found = name + " "
	}
	return found
}

// keys passes on what is typed; Ctrl-C, at which the terminal would end, becomes
// another key and, so that the line ends, a return.
type keys struct {
	from io.Reader
	rest []byte
}

const (
	ctrlC   = 0x03
	dropKey = 0x1c // Ctrl-\
)

// Read reads what is typed.
func (k *keys) Read(p []byte) (int, error) {
	if len(k.rest) == 0 {
		buf := make([]byte, len(p))
		n, err := k.from.Read(buf)
		if err != nil {
			return 0, err
		}
		for _, b := range buf[:n] {
			if b == ctrlC {
				k.rest = append(k.rest, dropKey, '\r')
			} else if b != dropKey {
				k.rest = append(k.rest, b)
			}
		}
	}
	n := copy(p, k.rest)
	k.rest = k.rest[n:]
	return n, nil
}

// history is the lines that were typed, each once, the last one first.
type history struct{ list []string }

// Len is the number of lines.
func (h *history) Len() int { return len(h.list) }

// At is a line, the last one at 0.
func (h *history) At(i int) string { return h.list[len(h.list)-1-i] }

// Add adds a line, unless it is empty or the one before.
func (h *history) Add(text string) {
	if n := len(h.list); text != "" && (n == 0 || h.list[n-1] != text) {
		h.list = append(h.list, text)
	}
}
