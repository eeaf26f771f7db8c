package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/jinja"
	"pipe.dev/executor/model"
)

// chatHelp is what /help prints.
const chatHelp = `/reset        forget what was said, but for the system prompt
/system TEXT  say what the model is to be, and forget what was said; without TEXT, nothing in particular
/save FILE    write the messages as JSON, which /load and pipelines/chat.cue read
/load FILE    forget what was said, and go on with the messages in a file
/help         these lines
/exit         end; so does the end of the input (Ctrl-D)
Ctrl-C stops an answer, or throws away what was typed. A line that ends with \ goes on in the next; lines that
are pasted are one message. A message that begins with / is written with //.`

// chatCommands are the lines that begin with /.
var chatCommands = []string{"/reset", "/system", "/save", "/load", "/help", "/exit"}

// command runs a line that begins with /, and reports whether it ends the talk.
func (t *talk) command(text string) (end bool) {
	name, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	rest = strings.TrimSpace(rest)
	var err error
	switch name {
	case "/help":
		fmt.Fprintln(t.c.errs, chatHelp)
	case "/reset":
		t.reset(t.f.system)
	case "/system":
		t.reset(rest)
	case "/save":
		err = t.save(rest)
	case "/load":
		err = t.load(rest)
	case "/exit", "/quit", "/bye":
		return true
	default:
		err = fmt.Errorf("unknown command %s%s", name, didYouMean(name, chatCommands))
	}
	if err != nil {
		fmt.Fprintln(t.c.errs, err)
	}
	return false
}

// reset forgets what was said.
func (t *talk) reset(system string) {
	t.f.system, t.messages, t.left = system, nil, 0
	if system != "" {
		t.messages = append(t.messages, model.Message("system", system))
	}
}

// save writes the messages, whole or not at all, those among them that no
// longer fit.
func (t *talk) save(file string) error {
	if file == "" {
		return errors.New("/save wants the name of a file")
	}
	list := jinja.NewList()
	for _, m := range t.messages {
		list.Append(m)
	}
	text, err := jinja.JSON(list)
	if err != nil {
		return err
	}
	if err := checkpoint.Replace(file, func(w io.Writer) error {
		_, err := io.WriteString(w, text+"\n")
		return err
	}); err != nil {
		return err
	}
	t.tell("%d messages saved", list.Len())
	return nil
}

// load goes on with messages that were saved.
func (t *talk) load(file string) error {
	if file == "" {
		return errors.New("/load wants the name of a file")
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return checkpoint.FileError(file, err)
	}
	list, _, err := model.Messages(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	var messages []*jinja.Dict
	for i := range list.Len() {
		messages = append(messages, list.At(i).(*jinja.Dict)) // as Messages checked
	}
	t.reset("")
	t.messages = messages
	if role, _ := messages[0].Get("role"); role == "system" {
		content, _ := messages[0].Get("content")
		t.f.system, _ = content.(string)
	}
	t.tell("%d messages loaded", len(messages))
	return nil
}

// tell says a word to a person.
func (t *talk) tell(format string, args ...any) {
	if t.person && !t.c.quiet {
		fmt.Fprintf(t.c.errs, format+"\n", args...)
	}
}
