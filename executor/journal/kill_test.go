//go:build unix

package journal

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// childRoot is the environment variable by which the test below makes this
// program the training process that it kills.
const childRoot = "JOURNAL_TEST_ROOT"

func TestMain(m *testing.M) {
	root := os.Getenv(childRoot)
	if root == "" {
		os.Exit(m.Run())
	}
	if err := train(Runs{Root: root}, 2, func(int64) { time.Sleep(2 * time.Millisecond) }); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// A process that is killed again and again, on a real disk, and started again
// leaves the same run as one that was not.
func TestKilledProcess(t *testing.T) {
	calm := Runs{Root: t.TempDir()}
	must(t, train(calm, 2, func(int64) {}))
	want := withoutTimes(t, osDisk{}, calm.Folder("crash", testHash))
	program, err := os.Executable()
	must(t, err)
	kills, ends := 0, 0
	rng := rand.New(rand.NewPCG(1, 2))
	for began := time.Now(); time.Since(began) < 4*time.Second || ends == 0; {
		root := t.TempDir()
		for {
			child := exec.Command(program)
			child.Env = append(os.Environ(), childRoot+"="+root)
			child.Stderr = os.Stderr
			must(t, child.Start())
			timer := time.AfterFunc(time.Duration(rng.IntN(40_000))*time.Microsecond+5*time.Millisecond, func() {
				_ = child.Process.Signal(syscall.SIGKILL) // it may have ended
			})
			err := child.Wait()
			timer.Stop()
			if err == nil {
				ends++
				break
			}
			if status, ok := child.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGKILL {
				t.Fatalf("the process ended with %v", err)
			}
			kills++
		}
		folder := Runs{Root: root}.Folder("crash", testHash)
		if got := withoutTimes(t, osDisk{}, folder); got != want {
			t.Fatalf("rows\n%swant\n%s", got, want)
		}
		c, warnings, err := Latest(folder)
		must(t, err)
		if c.Step != crashSteps || warnings != nil {
			t.Fatalf("latest %+v, warnings %q", c, warnings)
		}
		must(t, whole(osDisk{}, c))
		if s := Summarize(folder); s.State != Finished || s.Step != crashSteps {
			t.Fatalf("summary %+v", s)
		}
		litter, err := filepath.Glob(filepath.Join(folder, "*", ".*.tmp"))
		must(t, err)
		if len(litter) > 0 {
			t.Fatalf("litter: %q", litter)
		}
	}
	if kills == 0 {
		t.Fatal("no process was killed in time")
	}
	t.Logf("%d kills in %d runs", kills, ends)
}
