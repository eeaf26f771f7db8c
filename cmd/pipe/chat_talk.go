package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"pipe.dev/executor/decode"
	"pipe.dev/executor/jinja"
	"pipe.dev/executor/model"
	"pipe.dev/executor/sampler"
)

// talk is one conversation.
type talk struct {
	c         *console
	f         chatFlags
	model     *model.Model
	chat      *model.Chat
	generator *decode.Generator
	messages  []*jinja.Dict
	left      int // so many messages after the system prompt no longer fit
	signals   chan os.Signal
	person    bool // types, and is told what goes wrong instead of ending

	read, made         int           // tokens of prompts that were computed, tokens of answers
	readTook, madeTook time.Duration // until first tokens, and from there on
}

// run reads messages and answers them, to the end of the input.
func (t *talk) run() error {
	t.signals = make(chan os.Signal, 1)
	signal.Notify(t.signals, os.Interrupt, syscall.SIGTERM) // from here on they stop answers
	defer signal.Stop(t.signals)
	t.person = isTerminal(t.c.in)
	in := newLines(t.c)
	defer in.close()
	if t.person && !t.c.quiet {
		fmt.Fprintf(t.c.errs, "%d positions; /help lists commands\n", t.generator.Context())
	}
	err := t.loop(in)
	if t.made > 0 {
		t.c.log.Info("chat", "prompt_tokens", t.read, "prompt_tokens_per_second", perSecond(t.read, t.readTook),
			"tokens", t.made, "tokens_per_second", perSecond(t.made, t.madeTook))
	}
	return err
}

func perSecond(n int, took time.Duration) string {
	return fmt.Sprintf("%.1f", float64(n)/max(took, time.Microsecond).Seconds())
}

// loop answers message after message.
func (t *talk) loop(in *lines) error {
	message, prompt := "", "> "
	for {
		in.ask <- prompt
		var l line
		select {
		case s := <-t.signals: // with no answer to stop
			if s == os.Interrupt && in.edited { // meant for the answer that has just ended
				l = <-in.found
				break
			}
			in.close()
			fmt.Fprintln(t.c.errs)
			return context.Canceled
		case l = <-in.found:
		}
		switch {
		case errors.Is(l.err, errDropped):
			if message+l.text == "" {
				t.tell("Ctrl-D or /exit ends")
			}
			message, prompt = "", "> "
			continue
		case l.err != nil && !errors.Is(l.err, io.EOF):
			return dataErrorf("stdin: %w", l.err)
		case l.more:
			message, prompt = message+l.text+"\n", ". "
			continue
		}
		message += l.text
		end, err := t.take(message)
		if err != nil || end || l.err != nil {
			return err
		}
		message, prompt = "", "> "
	}
}

// take does what a message asks for, and reports whether it ends the talk.
func (t *talk) take(message string) (end bool, err error) {
	rest, escaped := strings.CutPrefix(message, "//")
	switch {
	case strings.TrimSpace(message) == "":
		return false, nil
	case escaped:
		err = t.say("/" + rest)
	case strings.HasPrefix(message, "/"):
		return t.command(message), nil
	default:
		err = t.say(message)
	}
	if t.person && (is[*model.ChatError](err) || is[*decode.ContextError](err)) { // which ends nothing
		fmt.Fprintln(t.c.errs, err)
		err = nil
	}
	return false, err
}

// say answers a message, and remembers both if there is an answer.
func (t *talk) say(message string) error {
	said := append(t.messages[:len(t.messages):len(t.messages)], model.Message("user", message))
	ids, err := t.fit(said)
	if err != nil {
		return err
	}
	answer, err := t.answer(ids, min(t.generator.Context()-len(ids), t.f.maxTokens))
	if answer != "" {
		t.messages = append(said, model.Message("assistant", answer))
	}
	return err
}

// fit is the ids of messages. The oldest are left out, with the answers to them, when what is left
// of the context is less than an answer may have, or a quarter of it; then so many that half of the context is free, since
// all that stays is computed anew.
func (t *talk) fit(messages []*jinja.Dict) ([]int32, error) {
	positions, before, system := t.generator.Context(), t.left, 0
	if role, _ := messages[0].Get("role"); role == "system" {
		system = 1
	}
	for {
		list := jinja.NewList()
		for i, m := range messages {
			if i < system || i >= system+t.left {
				list.Append(m)
			}
		}
		_, ids, err := t.chat.Prompt(list, nil)
		if err != nil {
			return nil, err
		}
		want := min(t.f.maxTokens, positions/4)
		if t.left > before {
			want = positions / 2
		}
		next := following(messages, system+t.left) - system
		switch free := positions - len(ids); {
		case free < want && next < len(messages)-system:
			t.left = next
			continue
		case free <= 0:
			t.left = before
			return nil, &decode.ContextError{Prompt: len(ids), Want: 1, Context: positions}
		}
		if t.left > before {
			t.c.log.Warn(fmt.Sprintf("the context of %d positions is full: the oldest %d messages are left out from here on", positions, t.left))
		}
		return ids, nil
	}
}

// following is the place of the next message of a user after the one at i, or
// the number of messages.
func following(messages []*jinja.Dict, i int) int {
	for i++; i < len(messages); i++ {
		if role, _ := messages[i].Get("role"); role == "user" {
			break
		}
	}
	return min(i, len(messages))
}

// errStopped says that a person stopped an answer.
var errStopped = errors.New("stopped")

// answer makes an answer and writes it as it is made; an interrupt ends it.
func (t *talk) answer(ids []int32, most int) (string, error) {
	tokens, err := t.model.Tokenizer()
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancelCause(context.Background())
	defer stop(nil)
	stopped := make(chan struct{})
	defer close(stopped)
	go func() {
		select {
		case s := <-t.signals:
			if s == os.Interrupt && t.person {
				stop(errStopped)
			}
			stop(context.Canceled) // the talk as well; of two causes the first stands
		case <-stopped:
		}
	}()
	r := decode.Request{Prompt: ids, MaxTokens: most, End: tokens.EOS(), Decoder: tokens.Stream(true), Resume: true,
		Sampler: sampler.Options{Temperature: t.f.temperature, TopK: t.f.topK, TopP: t.f.topP, RepetitionPenalty: t.f.penalty, Seed: uint64(t.f.seed)}}
	var text strings.Builder
	shared, made, start, first := t.generator.Shared(ids), 0, time.Now(), time.Time{}
	for piece, err := range t.generator.Text(ctx, r) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return "", err
		}
		if first.IsZero() {
			first = time.Now()
		}
		if piece.ID != decode.NoToken {
			made++
		}
		text.WriteString(piece.Text)
		if _, err := io.WriteString(t.c.out, piece.Text); err != nil {
			return "", err
		}
	}
	if !first.IsZero() {
		t.read, t.readTook = t.read+len(ids)-shared, t.readTook+first.Sub(start)
		t.made, t.madeTook = t.made+made, t.madeTook+time.Since(first)
	}
	_, err = fmt.Fprintln(t.c.out)
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, context.Canceled):
		return text.String(), cause
	case cause == nil && made == most && most == t.f.maxTokens:
		t.c.log.Warn(fmt.Sprintf("the answer was cut after %d tokens, which is --max-tokens", most))
	case cause == nil && made == most:
		t.c.log.Warn(fmt.Sprintf("the answer was cut after %d tokens: the context is full; a larger --context, or /reset", most))
	}
	return text.String(), err
}
