package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// typist types into a command that runs in a terminal, and reads what that shows.
type typist struct {
	t    *testing.T
	cmd  *exec.Cmd
	keys *os.File
	was  *unix.Termios // the terminal, before the command ran

	mu    sync.Mutex
	shown bytes.Buffer
	seen  int // so much of shown was waited for
}

// inTerminal runs pipe in a new terminal.
func inTerminal(t *testing.T, args ...string) *typist {
	t.Helper()
	keys, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminals here: %v", err)
	}
	t.Cleanup(func() { keys.Close() })
	number, err := unix.IoctlGetInt(int(keys.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(keys.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	p := &typist{t: t, cmd: pipeProcess(t, args...), keys: keys}
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = tty, tty, tty
	p.cmd.Env = append(os.Environ(), "TERM=xterm")
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if p.was, err = unix.IoctlGetTermios(int(keys.Fd()), unix.TCGETS); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go func() {
		buf := make([]byte, 4096)
		for {
			n, err := keys.Read(buf)
			p.mu.Lock()
			p.shown.Write(buf[:n])
			p.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return p
}

// until waits for a text that was not waited for before.
func (p *typist) until(text string) {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		at := strings.Index(p.shown.String()[p.seen:], text)
		if at >= 0 {
			p.seen += at + len(text)
		}
		p.mu.Unlock()
		if at >= 0 {
			return
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.t.Fatalf("never shown: %q; shown since: %q", text, p.shown.String()[p.seen:])
}

// writes waits until something was shown after what was waited for.
func (p *typist) writes() {
	p.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		p.mu.Lock()
		more := p.shown.Len() - p.seen
		p.mu.Unlock()
		if more > 40 {
			return
		}
	}
	p.t.Fatal("no answer is written")
}

func (p *typist) types(keys string) {
	p.t.Helper()
	if _, err := p.keys.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end.
func (p *typist) exit() error {
	p.t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.cmd.Wait() }()
	select {
	case err := <-done:
		return err
	case <-time.After(time.Minute):
		p.t.Fatal("it never ends")
	}
	return nil
}

// endless is a model whose answers hardly end, and a template for it.
func endless(t *testing.T) (folder, template string) {
	t.Helper()
	folder = t.TempDir()
	const from = "../../testdata/golden/text"
	for _, name := range []string{"config.json", "model.safetensors", "tokenizer.json"} {
		data, err := os.ReadFile(filepath.Join(from, name))
		if err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte(`"max_position_embeddings": 128`), []byte(`"max_position_embeddings": 100000`), 1)
		data = bytes.Replace(data, []byte(`"eos_token_id": 2`), []byte(`"eos_token_id": null`), 1)
		if err := os.WriteFile(filepath.Join(folder, name), data, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	template = filepath.Join(folder, "plain.jinja")
	if err := os.WriteFile(template, []byte("{% for m in messages %}{{ m.content }}|{% endfor %}"), 0o666); err != nil {
		t.Fatal(err)
	}
	return folder, template
}

const prompts = "\x1b[?2004h> " // shown when a message may be typed

// In a terminal Ctrl-C stops an answer and not the talk; lines are edited, and pasted ones are one message.
func TestChatTerminal(t *testing.T) {
	folder, template := endless(t)
	saved := filepath.Join(folder, "saved.json")
	p := inTerminal(t, "chat", folder, "--template", template, "--context", "100000", "--max-tokens", "90000", "--temperature", "0")
	p.until("100000 positions")
	p.until(prompts)
	p.types("firsx\x7ft\r") // backspace
	p.until("\x1b[?2004l")
	p.writes()
	p.types("\x03") // stops the answer
	p.until(prompts)
	p.types("thrown away\x03")
	p.until(prompts)
	p.types("\x03")
	p.until("Ctrl-D or /exit ends")
	p.until(prompts)
	p.types("\x1b[A\x1b[A") // up: the message before
	p.until("first")
	p.types("\x15\x1b[200~a\nb\x1b[201~ c\r")
	p.until("b c\r\n\x1b[?2004l")
	p.writes()
	p.types("\x03")
	p.until(prompts)
	p.types("/sav\t" + saved + "\r")
	p.until("4 messages saved")
	p.until(prompts)
	p.types("\x04")
	p.until("tokens_per_second=")
	if err := p.exit(); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	var messages []struct{ Role, Content string }
	if err := json.Unmarshal(data, &messages); err != nil {
		t.Fatal(err)
	}
	if messages[0].Content != "first" || messages[2].Content != "a\nb c" || messages[1].Content == "" || messages[3].Role != "assistant" {
		t.Errorf("%.300q", messages)
	}
}

// SIGTERM ends a talk, while it waits and while it answers, and leaves the terminal as it was.
func TestChatTerminated(t *testing.T) {
	folder, template := endless(t)
	for _, busy := range []bool{false, true} {
		p := inTerminal(t, "chat", folder, "--template", template, "--context", "100000", "--max-tokens", "90000")
		p.until(prompts)
		if raw, err := unix.IoctlGetTermios(int(p.keys.Fd()), unix.TCGETS); err != nil || raw.Lflag&unix.ICANON != 0 {
			t.Errorf("while a line is read, the terminal edits it: %v", err)
		}
		if busy {
			p.types("go\r")
			p.until("\x1b[?2004l")
			p.writes()
		}
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		p.until("interrupted")
		if err := p.exit(); err == nil || p.cmd.ProcessState.ExitCode() != exitInterrupted {
			t.Errorf("%v", err)
		}
		after, err := unix.IoctlGetTermios(int(p.keys.Fd()), unix.TCGETS)
		if err != nil || *after != *p.was {
			t.Errorf("the terminal is %+v, was %+v, %v", after, p.was, err)
		}
	}
}
