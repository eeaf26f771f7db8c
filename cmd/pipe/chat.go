package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/hub"
	"pipe.dev/executor/jinja"
	"pipe.dev/executor/model"
	"pipe.dev/executor/sampler"
)

// chatHelp is what /help prints.
const chatHelp = `/reset        forget what was said, but for the system prompt
/system TEXT  say what the model is to be, and forget what was said
/save FILE    write the messages as JSON, which pipelines/chat.cue reads
/help         these lines
/exit         end; so does the end of the input (Ctrl-D)
Ctrl-C stops an answer. A line that ends with \ goes on in the next.`

// chatFlags are those of pipe chat.
type chatFlags struct {
	engineFlags
	system, template           string
	context, maxTokens, seed   int
	temperature, topP, penalty float64
	topK                       int
}

func chatCommand(c *console) *cobra.Command {
	var f chatFlags
	cmd := &cobra.Command{
		Use:   "chat PATH",
		Short: "talk to a model",
		Long: "chat reads messages from stdin, a line each, and writes the model's answers as they are made. PATH is the folder of a\n" +
			"model that has a chat template, or its .gguf file. What was said before is not computed again. Lines that begin with /\n" +
			"are commands:\n\n" + chatHelp,
		Example: "  pipe chat models/SmolLM2-135M-Instruct\n  echo 'What is a pipe?' | pipe chat model.gguf --temperature 0",
		Args:    arguments("PATH"),
		RunE: func(cmd *cobra.Command, args []string) error {
			path, err := hub.Folder(args[0])
			if err != nil {
				return err
			}
			if f.maxTokens < 1 {
				return usagef(cmd, "--max-tokens is %d, want at least 1", f.maxTokens)
			}
			if f.seed < 0 || f.context < 0 || f.topK < 0 || f.temperature < 0 || f.penalty <= 0 || f.topP <= 0 || f.topP > 1 {
				return usagef(cmd, "--seed, --context, --top-k and --temperature want at least 0, --repetition-penalty more than 0, --top-p more than 0 and at most 1")
			}
			e, err := f.open(cmd)
			if err != nil {
				return err
			}
			defer e.backend.Close()
			return runChat(cmd.Context(), c, e, f, path)
		},
	}
	f.addDevice(cmd)
	cmd.Flags().StringVar(&f.mem, "mem", "", "memory it may use, as 500MiB or 2GB; by default what is available")
	cmd.Flags().StringVar(&f.system, "system", "", "what the model is to be: its system prompt")
	cmd.Flags().StringVar(&f.template, "template", "", "a file with a chat template, instead of the model's own")
	cmd.Flags().IntVar(&f.context, "context", 4096, "positions of the key/value cache; at most as many as the model was trained on; 0 means all of these")
	cmd.Flags().IntVar(&f.maxTokens, "max-tokens", 1024, "how many tokens an answer has at most")
	cmd.Flags().Float64Var(&f.temperature, "temperature", 0.8, "0 takes the likeliest token; more is more varied")
	cmd.Flags().IntVar(&f.topK, "top-k", 0, "choose among this many likeliest tokens; 0 means all")
	cmd.Flags().Float64Var(&f.topP, "top-p", 1, "choose among the likeliest tokens that have this probability together")
	cmd.Flags().Float64Var(&f.penalty, "repetition-penalty", 1, "above 1 makes tokens that occurred less likely")
	cmd.Flags().IntVar(&f.seed, "seed", 0, "the same seed gives the same answers")
	return cmd
}

// talk is one conversation.
type talk struct {
	c         *console
	f         chatFlags
	model     *model.Model
	chat      *model.Chat
	generator *decode.Generator
	messages  []*jinja.Dict
	interrupt chan os.Signal
	terminal  bool
	tokens    int
	took      time.Duration
}

// openTalk makes a model ready to talk.
func openTalk(ctx context.Context, c *console, e *engine, f chatFlags, path string) (*talk, error) {
	bar := newProgress(c)
	defer bar.stop()
	open := func(context int) (*model.Model, error) {
		m, err := model.Open(model.Options{Name: path, Dir: path, Context: context, Backend: e.backend, Compile: e.compile(nil), Progress: func(done, total int64) { bar.update("weights", done, total) }})
		if err == nil {
			if err = m.Text(); err != nil {
				m.Close() // err is what matters
			}
		}
		return m, err
	}
	m, err := model.Open(model.Options{Name: path, Dir: path, Backend: e.backend, Compile: e.compile(nil)})
	if err != nil {
		return nil, err
	}
	size := f.context
	if most := m.Trained(); most > 0 && (size == 0 || size > most) {
		size = most
	}
	if err := m.Close(); err != nil {
		return nil, err
	}
	if m, err = open(size); err != nil {
		return nil, err
	}
	t := &talk{c: c, f: f, model: m, interrupt: make(chan os.Signal, 1), terminal: isTerminal(c.in)}
	if t.chat, err = m.Chat(f.template); err == nil {
		err = model.Fit([]*model.Model{m}, e.limit)
	}
	if err == nil {
		err = m.Load(ctx)
	}
	if err == nil {
		t.generator, err = m.Generator()
	}
	if err != nil {
		m.Close() // err is what matters
		return nil, err
	}
	t.reset(f.system)
	return t, nil
}

func runChat(ctx context.Context, c *console, e *engine, f chatFlags, path string) error {
	t, err := openTalk(ctx, c, e, f, path)
	if err != nil {
		return err
	}
	defer t.model.Close()
	signal.Notify(t.interrupt, os.Interrupt) // from here on it stops answers
	defer signal.Stop(t.interrupt)
	lines := make(chan string)
	failed := make(chan error, 1)
	go func() {
		in := bufio.NewScanner(c.in)
		in.Buffer(nil, 16<<20)
		for in.Scan() {
			lines <- in.Text()
		}
		failed <- in.Err()
		close(lines)
	}()
	if t.terminal {
		fmt.Fprintln(c.errs, "/help lists commands")
	}
	return t.loop(lines, failed)
}

// loop answers line after line.
func (t *talk) loop(lines <-chan string, failed <-chan error) error {
	message := ""
	for {
		if t.terminal {
			fmt.Fprint(t.c.errs, "> ")
		}
		var line string
		var ok bool
		select {
		case <-t.interrupt: // with no answer to stop
			fmt.Fprintln(t.c.errs)
			return t.done(nil)
		case line, ok = <-lines:
		}
		if !ok {
			if message != "" {
				if err := t.say(message); err != nil {
					return err
				}
			}
			return t.done(<-failed)
		}
		if rest, more := strings.CutSuffix(line, "\\"); more {
			message += rest + "\n"
			continue
		}
		message += line
		switch {
		case strings.TrimSpace(message) == "":
		case strings.HasPrefix(message, "/"):
			if end := t.command(message); end {
				return t.done(nil)
			}
		default:
			if err := t.say(message); err != nil {
				return err
			}
		}
		message = ""
	}
}

// done says how fast answers were made.
func (t *talk) done(err error) error {
	if t.tokens > 0 && t.took > 0 {
		t.c.log.Info("chat", "tokens", t.tokens, "tokens_per_second", fmt.Sprintf("%.1f", float64(t.tokens)/t.took.Seconds()))
	}
	return err
}

// command runs a line that begins with /, and reports whether it ends the talk.
func (t *talk) command(line string) bool {
	name, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
	rest = strings.TrimSpace(rest)
	switch name {
	case "/help":
		fmt.Fprintln(t.c.errs, chatHelp)
	case "/reset":
		t.reset(t.f.system)
	case "/system":
		t.f.system = rest
		t.reset(rest)
	case "/save":
		if err := t.save(rest); err != nil {
			fmt.Fprintln(t.c.errs, err)
		}
	case "/exit", "/quit", "/bye":
		return true
	default:
		fmt.Fprintf(t.c.errs, "unknown command %s%s\n", name, didYouMean(name, []string{"/help", "/reset", "/system", "/save", "/exit"}))
	}
	return false
}

func (t *talk) reset(system string) {
	t.messages = nil
	if system != "" {
		t.messages = append(t.messages, model.Message("system", system))
	}
}

// save writes the messages, whole or not at all.
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
	return checkpoint.Replace(file, func(w io.Writer) error {
		_, err := io.WriteString(w, text+"\n")
		return err
	})
}

// say answers a message. What stops an answer, but not the talk, is told.
func (t *talk) say(message string) error {
	list := jinja.NewList()
	for _, m := range append(t.messages[:len(t.messages):len(t.messages)], model.Message("user", message)) {
		list.Append(m)
	}
	_, ids, err := t.chat.Prompt(list, nil)
	if err != nil {
		return err
	}
	room := t.generator.Context() - len(ids)
	if room <= 0 {
		if t.terminal {
			fmt.Fprintf(t.c.errs, "what was said has %d tokens and the context %d positions: /reset, or a larger --context\n", len(ids), t.generator.Context())
			return nil
		}
		return &decode.ContextError{Prompt: len(ids), Want: 1, Context: t.generator.Context()}
	}
	answer, err := t.answer(ids, min(room, t.f.maxTokens))
	if err != nil {
		return err
	}
	t.messages = append(t.messages, model.Message("user", message), model.Message("assistant", answer))
	return nil
}

// answer makes an answer and writes it as it is made; an interrupt ends it.
func (t *talk) answer(ids []int32, most int) (string, error) {
	tokens, err := t.model.Tokenizer()
	if err != nil {
		return "", err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		select {
		case <-t.interrupt:
			stop()
		case <-ended:
		}
	}()
	r := decode.Request{Prompt: ids, MaxTokens: most, End: tokens.EOS(), Decoder: tokens.Stream(true), Resume: true,
		Sampler: sampler.Options{Temperature: t.f.temperature, TopK: t.f.topK, TopP: t.f.topP, RepetitionPenalty: t.f.penalty, Seed: uint64(t.f.seed)}}
	var text strings.Builder
	start := time.Now()
	for piece, err := range t.generator.Text(ctx, r) {
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil {
			return "", err
		}
		if piece.ID != decode.NoToken {
			t.tokens++
		}
		text.WriteString(piece.Text)
		if _, err := io.WriteString(t.c.out, piece.Text); err != nil {
			return "", err
		}
	}
	t.took += time.Since(start)
	_, err = fmt.Fprintln(t.c.out)
	return text.String(), err
}
