package journal

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
)

// The training of these tests: a number that each step changes, rows, and a
// checkpoint every few steps.
const (
	crashSteps = 12
	crashEvery = 3
)

// weights is what the training makes of so many steps.
func weights(step int64) uint64 {
	w := uint64(1)
	for s := int64(1); s <= step; s++ {
		w = w*6364136223846793005 + uint64(s)
	}
	return w
}

// train starts or resumes the run on a disk, and goes on to the end. saved is
// called with the step of each checkpoint that Save said is durable.
func train(runs Runs, keep int, saved func(step int64)) error {
	run, step, err := begin(runs)
	if err != nil {
		return err
	}
	for w := weights(step); step < crashSteps; {
		step++
		w = w*6364136223846793005 + uint64(step)
		row := Row{Step: step, Values: map[string]float64{Loss: 1 / float64(step)}}
		if err := run.Log(row); err != nil {
			return err
		}
		if step%crashEvery != 0 {
			continue
		}
		for range 1 + step/crashSteps { // the last one twice, as an interrupt may
			if err := run.Save(step, keep, state(w, step)); err != nil {
				return err
			}
		}
		saved(step)
	}
	if err := run.Finish(); err != nil {
		return err
	}
	return run.Close()
}

// state writes the two files of a checkpoint.
func state(w uint64, step int64) func(*Writer) error {
	number := func(n any) func(io.Writer) error {
		return func(o io.Writer) error { return binary.Write(o, binary.LittleEndian, n) }
	}
	return func(out *Writer) error {
		if err := out.File("model/weights.bin", number(w)); err != nil {
			return err
		}
		return out.File("optimizer.bin", number(step))
	}
}

// begin makes the run, or opens it at its newest checkpoint.
func begin(runs Runs) (*Run, int64, error) {
	run, err := runs.Create("crash", testHash, map[string][]byte{"seed": []byte("7\n")})
	if err == nil {
		return run, 0, nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, 0, err
	}
	if run, err = runs.Open("crash", testHash); err != nil {
		return nil, 0, err
	}
	c, _, err := run.Latest()
	if err != nil {
		return nil, 0, err
	}
	step := int64(0)
	if c != nil {
		step = c.Step
		if err := whole(run.disk, c); err != nil {
			return nil, 0, err
		}
	}
	return run, step, run.Resume(step)
}

// whole proves that a checkpoint holds what the training saved.
func whole(d filesystem, c *Checkpoint) error {
	data, err := readFile(d, c.Path("model/weights.bin"))
	if err != nil {
		return err
	}
	if want := binary.LittleEndian.AppendUint64(nil, weights(c.Step)); !bytes.Equal(data, want) {
		return fmt.Errorf("checkpoint of step %d holds %x, want %x", c.Step, data, want)
	}
	return nil
}

var timeMember = regexp.MustCompile(`"time":[0-9.]+`)

// withoutTimes is what must be equal in the metrics of two runs.
func withoutTimes(t *testing.T, d filesystem, folder string) string {
	t.Helper()
	data, err := readFile(d, filepath.Join(folder, metricsName))
	must(t, err)
	return timeMember.ReplaceAllString(string(data), `"time":0`)
}

// Whatever the operation on the disk after which the machine stops, and
// whatever part of what was not flushed survives: the checkpoints that Save
// said are durable are there, and the resumed run ends as one that never
// stopped, with the same rows.
func TestCrashAfterEveryOperation(t *testing.T) {
	never := newMemDisk()
	must(t, train(Runs{Root: "runs", Now: clock(), disk: never}, 2, func(int64) {}))
	folder := Runs{Root: "runs"}.Folder("crash", testHash)
	want := withoutTimes(t, never, folder)
	total := never.done
	if total < 100 {
		t.Fatalf("the run took %d operations, too few for this test", total)
	}
	survivals := []struct {
		names   bool
		content float64
	}{{true, 1}, {false, 0}, {true, 0}, {true, 0.5}, {false, 1}}
	for _, keep := range []int{1, 2} {
		for n := range total {
			for _, s := range survivals {
				d := newMemDisk()
				d.left = n
				durable := int64(0)
				err := train(Runs{Root: "runs", Now: clock(), disk: d}, keep, func(step int64) { durable = step })
				if err == nil {
					t.Logf("keep %d: the run ends within %d operations", keep, n)
					break
				}
				after := d.crash(s.names, s.content)
				where := fmt.Sprintf("keep %d, stopped after %d operations, names %v, content %v", keep, n, s.names, s.content)
				c, warnings, err := latest(after, folder)
				if err != nil || len(warnings) > 0 {
					t.Fatalf("%s: %v, warnings %q", where, err, warnings)
				}
				if c == nil && durable > 0 || c != nil && c.Step < durable {
					t.Fatalf("%s: the checkpoint of step %d was durable; found is %+v", where, durable, c)
				}
				if err := train(Runs{Root: "runs", Now: clock(), disk: after}, keep, func(int64) {}); err != nil {
					t.Fatalf("%s: resumed: %v", where, err)
				}
				if got := withoutTimes(t, after, folder); got != want {
					t.Fatalf("%s: rows\n%swant\n%s", where, got, want)
				}
				checkEnd(t, where, after, folder, keep, c)
			}
		}
	}
}

// checkEnd proves that a finished run has its last checkpoints and no litter.
// A run that was resumed from its last one has saved, and so removed, no more.
func checkEnd(t *testing.T, where string, d *memDisk, folder string, keep int, from *Checkpoint) {
	t.Helper()
	c, warnings, err := latest(d, folder)
	must(t, err)
	if c == nil || c.Step != crashSteps || len(warnings) > 0 {
		t.Fatalf("%s: the last checkpoint is %+v, warnings %q", where, c, warnings)
	}
	must(t, whole(d, c))
	entries, err := d.readDir(filepath.Join(folder, checkpointsName))
	must(t, err)
	if from != nil && from.Step == crashSteps {
		keep = max(keep, min(len(entries), keep+1))
	}
	if len(entries) != keep {
		t.Fatalf("%s: %d checkpoints are left: %v", where, len(entries), entries)
	}
}

// A disk that is full at any operation: the error says so, nothing that was
// durable is lost, and with room again the same run goes on.
func TestDiskFullAtEveryOperation(t *testing.T) {
	never := newMemDisk()
	must(t, train(Runs{Root: "runs", Now: clock(), disk: never}, 2, func(int64) {}))
	folder := Runs{Root: "runs"}.Folder("crash", testHash)
	want := withoutTimes(t, never, folder)
	for n := range never.done {
		d := newMemDisk()
		d.left, d.fail = n, syscall.ENOSPC
		durable := int64(0)
		err := train(Runs{Root: "runs", Now: clock(), disk: d}, 2, func(step int64) { durable = step })
		if err == nil {
			continue // litter that was not removed: harmless
		}
		isOneLine(t, err, "the disk is full")
		c, _, err := latest(d, folder)
		must(t, err)
		if durable > 0 && (c == nil || c.Step < durable) {
			t.Fatalf("full at operation %d: step %d was durable; found is %+v", n, durable, c)
		}
		must(t, train(Runs{Root: "runs", Now: clock(), disk: d}, 2, func(int64) {}))
		if got := withoutTimes(t, d, folder); got != want {
			t.Fatalf("full at operation %d: rows\n%swant\n%s", n, got, want)
		}
		checkEnd(t, fmt.Sprintf("full at operation %d", n), d, folder, 2, c)
	}
}

// A row for which there is no room leaves nothing of itself, so that the next
// one, when there is room again, follows the one before.
func TestRoomAgain(t *testing.T) {
	d := newMemDisk()
	run, err := Runs{Root: "runs", Now: clock(), disk: d}.Create("room", testHash, nil)
	must(t, err)
	must(t, run.Log(Row{Step: 1}))
	d.left, d.fail = 0, syscall.ENOSPC
	isOneLine(t, run.Log(Row{Step: 2}), "metrics.jsonl: cannot write: the disk is full")
	must(t, run.Log(Row{Step: 3}))
	must(t, run.Close())
	rows, err := readMetrics(d, run.Folder)
	must(t, err)
	if len(rows) != 2 || rows[1].Step != 3 {
		t.Errorf("rows %+v", rows)
	}
}
