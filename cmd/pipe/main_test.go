package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/op"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/model"
	"pipe.dev/executor/sampler"
	"pipe.dev/executor/session"
	"pipe.dev/schema"
)

const smallTokenizer = "../../executor/tokenizer/testdata/small"

// runWith runs one command that does as f says, instead of the real ones.
func runWith(f func() error, flags ...string) (code int, stderr string) {
	var errs bytes.Buffer
	c := newConsole(strings.NewReader(""), io.Discard, &errs)
	root := newRoot(c)
	root.AddCommand(&cobra.Command{Use: "probe", RunE: func(*cobra.Command, []string) error { return f() }})
	code = execute(context.Background(), c, root, append([]string{"probe"}, flags...))
	return code, errs.String()
}

func TestExitCodes(t *testing.T) {
	wrap := func(err error) error { return fmt.Errorf("outer: %w", err) }
	_, missing := os.Open("no such file")
	for _, c := range []struct {
		err  error
		code int
		text string
	}{
		{nil, 0, ""},
		{errors.New("something"), 1, "something\n"},
		{&sampler.NaNError{Position: 3, Index: 7}, 6, "position 3: the logit of token 7 is 0\n"},
		{wrap(&sampler.NaNError{Position: 3, Index: -1}), 6, "outer: position 3: no token is left to choose: every logit is -Inf\n"},
		{wrap(&op.Error{Op: "linear", Err: errors.New("4 is not 5")}), 3, "outer: " + (&op.Error{Op: "linear", Err: errors.New("4 is not 5")}).Error() + "\n"},
		{&session.NaNError{Pos: ir.Pos{File: "m.cue", Line: 3, Col: 4, Path: "norm"}, Op: "rmsnorm"}, 6, "m.cue:3:4: norm: rmsnorm: element 0 of its output is NaN or infinite\n"},
		{schema.Errors{{Pos: ir.Pos{File: "m.cue", Line: 3, Col: 4, Path: "dim"}, Msg: "is -1", Hint: "want at least 1"}, {Msg: "more"}}, 3, "m.cue:3:4: dim: is -1 (want at least 1)\nmore\n"},
		{wrap(&schema.Error{Msg: "no"}), 3, "outer: no\n"},
		{&model.VocabError{Dir: "m", Tokens: 5, Logits: 4}, 5, (&model.VocabError{Dir: "m", Tokens: 5, Logits: 4}).Error() + "\n"},
		{&decode.ContextError{Prompt: 9, Context: 8}, 5, (&decode.ContextError{Prompt: 9, Context: 8}).Error() + "\n"},
		{wrap(&model.FitError{Name: "llm", Need: 2048, Limit: 1024, Advice: "less"}), 4, "outer: " + (&model.FitError{Name: "llm", Need: 2048, Limit: 1024, Advice: "less"}).Error() + "\n"},
		{&checkpoint.Error{File: "a", Msg: "is bad"}, 5, "a: is bad\n"},
		{fmt.Errorf("a.cue: %w", syscall.ENOENT), 5, "a.cue: no such file or directory\n"},
		{dataErrorf("stdin:4: no"), 5, "stdin:4: no\n"},
		{missing, 5, "no such file: no such file or folder\n"},
		{&fs.PathError{Op: "read", Path: "x", Err: syscall.EIO}, 5, "x: cannot read: input/output error\n"},
		{wrap(context.Canceled), 130, "interrupted\n"},
		{errors.Join(&checkpoint.Error{File: "a", Msg: "is bad"}, &checkpoint.Error{File: "b", Msg: "too"}), 5, "a: is bad\nb: too\n"},
		{failure{&checkpoint.Error{File: "a", Msg: "was said"}}, 5, ""},
	} {
		code, text := runWith(func() error { return c.err })
		if code != c.code || text != c.text {
			t.Errorf("%v: exit code %d, %q; want %d, %q", c.err, code, text, c.code, c.text)
		}
	}
}

// TestPanic: a bug is one line, and with --verbose also where it is.
func TestPanic(t *testing.T) {
	broken := func() error { panic("index 4\nof 3") }
	code, text := runWith(broken)
	if code != exitBug || text != "pipe has a bug: index 4 of 3; please report this, with what --verbose adds\n" {
		t.Errorf("%d, %q", code, text)
	}
	code, text = runWith(broken, "--verbose")
	if code != exitBug || !strings.HasPrefix(text, "pipe has a bug: index 4 of 3; ") || !strings.Contains(text, "main_test.go:") {
		t.Errorf("%d, %q", code, text)
	}
}

// TestInterrupt: a signal ends a command that waits for input, at once and
// with its exit code; what was answered before is there.
func TestInterrupt(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGTERM} {
		cmd := pipeProcess(t, "tokenize", smallTokenizer)
		in, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		var errs bytes.Buffer
		cmd.Stderr = &errs
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timeout := time.AfterFunc(20*time.Second, func() { cmd.Process.Kill() })
		defer timeout.Stop()
		io.WriteString(in, "the cat\n")
		first := make([]byte, 1)
		if _, err := io.ReadFull(out, first); err != nil {
			t.Fatalf("no answer to the first line: %v; %s", err, &errs)
		}
		cmd.Process.Signal(s)
		io.Copy(io.Discard, out)
		err = cmd.Wait()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != exitInterrupted || errs.String() != "interrupted\n" {
			t.Errorf("%v: %v, %q; want exit code 130", s, err, &errs)
		}
	}
}

// TestTokenizeStreams: a long input goes through in little memory, however it
// is cut into reads.
func TestTokenizeStreams(t *testing.T) {
	t.Parallel()
	const lines = 200_000
	line := "the cat and the other cat\n"
	one, _ := tokenizeAll(t, strings.NewReader(line))
	cut, _ := tokenizeAll(t, iotestOneByte{strings.NewReader(strings.Repeat(line, 50))})
	if cut != strings.Repeat(one, 50) {
		t.Errorf("read byte by byte, 50 lines give %q", cut)
	}
	var out counter
	c := newConsole(io.LimitReader(repeat(line), int64(lines*len(line))), &out, io.Discard)
	if code := execute(context.Background(), c, newRoot(c), []string{"tokenize", smallTokenizer}); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if want := int64(lines * len(one)); out.n != want {
		t.Errorf("%d bytes of ids, want %d", out.n, want)
	}
}

func tokenizeAll(t *testing.T, in io.Reader, flags ...string) (out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	c := newConsole(in, &o, &e)
	if code := execute(context.Background(), c, newRoot(c), append([]string{"tokenize", smallTokenizer}, flags...)); code != 0 {
		t.Fatalf("exit code %d: %s", code, &e)
	}
	return o.String(), e.String()
}

type iotestOneByte struct{ r io.Reader }

func (r iotestOneByte) Read(b []byte) (int, error) { return r.r.Read(b[:min(1, len(b))]) }

// repeat is an endless reader.
type repeat string

func (s repeat) Read(b []byte) (int, error) {
	n := 0
	for n+len(s) <= len(b) {
		n += copy(b[n:], s)
	}
	if n == 0 {
		return 0, errors.New("the buffer is too small")
	}
	return n, nil
}

type counter struct{ n int64 }

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	return len(b), nil
}

func TestDidYouMean(t *testing.T) {
	known := []string{"run", "check", "plan", "inspect", "tokenize", "doctor", "--json", "--filter"}
	for got, want := range map[string]string{
		"chek": "check", "inspct": "inspect", "tok": "tokenize", "plna": "plan", "Doctor": "doctor", "--jsno": "--json", "rnu": "run",
		"x": "", "banana": "", "": "",
	} {
		if want != "" {
			want = "; did you mean " + want + "?"
		}
		if s := didYouMean(got, known); s != want {
			t.Errorf("%q: %q, want %q", got, s, want)
		}
	}
}

func TestHumanNumbers(t *testing.T) {
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := grouped(n); got != want {
			t.Errorf("grouped(%d) = %q, want %q", n, got, want)
		}
	}
}

// TestRegistered: every source file of a command is wired into the root.
func TestRegistered(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	wired := strings.Join(names(newRoot(newConsole(nil, io.Discard, io.Discard))), " ") + " "
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"run", "check", "plan", "inspect", "tokenize", "init", "doctor", "version"} {
			if strings.Contains(string(data), "func "+name+"Command(") && !strings.Contains(wired, name+" ") {
				t.Errorf("%s defines %sCommand, which commands lacks", f, name)
			}
		}
	}
}
