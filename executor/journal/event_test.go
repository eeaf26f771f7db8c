package journal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// event is what a reader finds in an event file.
type event struct {
	wall       float64
	step       int64
	version    string
	scalars    map[string]float32
	histograms map[string]histogram
	start      bool
}

// readEvents reads an event file by the specifications of TFRecord and of the
// Event message, independently of the writer.
func readEvents(t *testing.T, path string) []event {
	t.Helper()
	data, err := os.ReadFile(path)
	must(t, err)
	table := crc32.MakeTable(crc32.Castagnoli)
	unmask := func(b []byte) uint32 {
		rot := binary.LittleEndian.Uint32(b) - 0xa282ead8
		return rot>>17 | rot<<15
	}
	var list []event
	for len(data) > 0 {
		if len(data) < 12 {
			t.Fatalf("%s: %d bytes at the end", path, len(data))
		}
		if got, want := unmask(data[8:]), crc32.Checksum(data[:8], table); got != want {
			t.Fatalf("%s: event %d: the length has sum %08x, not %08x", path, len(list), got, want)
		}
		n := binary.LittleEndian.Uint64(data)
		record := data[12 : 12+n]
		if got, want := unmask(data[12+n:]), crc32.Checksum(record, table); got != want {
			t.Fatalf("%s: event %d: the data have sum %08x, not %08x", path, len(list), got, want)
		}
		list = append(list, parseEvent(t, record))
		data = data[16+n:]
	}
	return list
}

// fields calls f with each field of a message: a number as its bits, or bytes.
func fields(t *testing.T, b []byte, f func(field int, bits uint64, bytes []byte)) {
	t.Helper()
	for len(b) > 0 {
		key, n := binary.Uvarint(b)
		if n <= 0 {
			t.Fatal("a key is torn")
		}
		b = b[n:]
		switch field := int(key >> 3); key & 7 {
		case 0:
			v, n := binary.Uvarint(b)
			f(field, v, nil)
			b = b[n:]
		case 1:
			f(field, binary.LittleEndian.Uint64(b), nil)
			b = b[8:]
		case 2:
			size, n := binary.Uvarint(b)
			f(field, 0, b[n:n+int(size)])
			b = b[n+int(size):]
		case 5:
			f(field, uint64(binary.LittleEndian.Uint32(b)), nil)
			b = b[4:]
		default:
			t.Fatalf("field %d has wire type %d", field, key&7)
		}
	}
}

func parseEvent(t *testing.T, b []byte) event {
	e := event{scalars: map[string]float32{}, histograms: map[string]histogram{}}
	fields(t, b, func(field int, bits uint64, bytes []byte) {
		switch field {
		case 1:
			e.wall = math.Float64frombits(bits)
		case 2:
			e.step = int64(bits)
		case 3:
			e.version = string(bytes)
		case 5:
			fields(t, bytes, func(_ int, _ uint64, value []byte) { parseValue(t, value, &e) })
		case 7:
			fields(t, bytes, func(_ int, status uint64, _ []byte) { e.start = status == 1 })
		default:
			t.Fatalf("an event has field %d", field)
		}
	})
	return e
}

func parseValue(t *testing.T, b []byte, e *event) {
	tag := ""
	fields(t, b, func(field int, bits uint64, bytes []byte) {
		switch field {
		case 1:
			tag = string(bytes)
		case 2:
			e.scalars[tag] = math.Float32frombits(uint32(bits))
		case 5:
			var h histogram
			fields(t, bytes, func(field int, bits uint64, packed []byte) {
				switch field {
				case 1:
					h.min = math.Float64frombits(bits)
				case 2:
					h.max = math.Float64frombits(bits)
				case 3:
					h.n = math.Float64frombits(bits)
				case 4:
					h.sum = math.Float64frombits(bits)
				case 5:
					h.squares = math.Float64frombits(bits)
				case 6:
					h.limits = unpack(packed)
				case 7:
					h.counts = unpack(packed)
				}
			})
			e.histograms[tag] = h
		}
	})
}

func unpack(b []byte) []float64 {
	var list []float64
	for ; len(b) > 0; b = b[8:] {
		list = append(list, math.Float64frombits(binary.LittleEndian.Uint64(b)))
	}
	return list
}

func eventFiles(t *testing.T, folder string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(folder, "events.out.tfevents.*"))
	must(t, err)
	slices.Sort(list)
	return list
}

func TestEventsHoldTheRows(t *testing.T) {
	runs := Runs{Root: t.TempDir(), Now: clock()}
	run, err := runs.Create("events", testHash, nil)
	must(t, err)
	const steps = 50
	for s := range int64(steps) {
		must(t, run.Log(trainingRow(s, steps)))
	}
	must(t, run.Close())
	files := eventFiles(t, run.Folder)
	if len(files) != 1 {
		t.Fatalf("event files: %q", files)
	}
	events := readEvents(t, files[0])
	if len(events) != steps+1 || events[0].version != "brain.Event:2" {
		t.Fatalf("%d events, the first of version %q", len(events), events[0].version)
	}
	rows, err := ReadMetrics(run.Folder)
	must(t, err)
	for i, row := range rows {
		e, want := events[i+1], map[string]float32{}
		for n, v := range row.Values {
			want[n] = float32(v)
		}
		for l, v := range row.Norms {
			want["grad_norm/"+l] = float32(v)
		}
		if e.step != row.Step || fmt.Sprint(e.scalars) != fmt.Sprint(want) {
			t.Fatalf("event %+v is not row %+v", e, row)
		}
		if math.Abs(e.wall-float64(row.Time.UnixMilli())/1e3) > 1e-3 {
			t.Fatalf("event at %f, row at %v", e.wall, row.Time)
		}
	}
}

// A resumed run starts a file that sorts after the first, and tells TensorBoard
// to forget what came after the checkpoint.
func TestEventsOfAResumedRun(t *testing.T) {
	runs := Runs{Root: t.TempDir(), Now: clock()}
	run, err := runs.Create("events", testHash, nil)
	must(t, err)
	for s := range int64(10) {
		must(t, run.Log(trainingRow(s, 20)))
	}
	must(t, run.Close())
	runs.Now = clock() // as if the clock had been set back
	run, err = runs.Open("events", testHash)
	must(t, err)
	must(t, run.Resume(6))
	must(t, run.Log(trainingRow(7, 20)))
	must(t, run.Close())
	files := eventFiles(t, run.Folder)
	if len(files) != 2 {
		t.Fatalf("event files: %q", files)
	}
	first, second := readEvents(t, files[0]), readEvents(t, files[1])
	if len(first) != 11 || len(second) != 3 || !second[1].start || second[1].step != 7 || second[2].step != 7 {
		t.Fatalf("%d events, then %+v", len(first), second)
	}
	if !strings.HasSuffix(files[1], hostName()) {
		t.Errorf("%s does not name the host %s", files[1], hostName())
	}
}

func TestHistogram(t *testing.T) {
	runs := Runs{Root: t.TempDir(), Now: clock()}
	run, err := runs.Create("events", testHash, nil)
	must(t, err)
	values := []float32{-3, -1e-20, 0, 0, 1e-13, 0.5, 0.5, 7, float32(math.NaN()), float32(math.Inf(1)), 3e38}
	must(t, run.Histogram(3, "weights/a", values))
	must(t, run.Histogram(4, "weights/none", nil))
	must(t, run.Close())
	events := readEvents(t, eventFiles(t, run.Folder)[0])
	h := events[1].histograms["weights/a"]
	if h.n != 9 || h.min != -3 || h.max != float64(float32(3e38)) || len(h.limits) != len(h.counts) {
		t.Fatalf("histogram %+v", h)
	}
	if !slices.IsSorted(h.limits) {
		t.Fatalf("limits %v", h.limits)
	}
	for i, count := range h.counts {
		want := 0.0
		for _, v := range values {
			x := float64(v)
			if x <= h.limits[i] && (i == 0 || x > h.limits[i-1]) {
				want++
			}
		}
		if count != want {
			t.Errorf("bucket up to %g counts %g, want %g", h.limits[i], count, want)
		}
	}
	if none := events[2].histograms["weights/none"]; none.n != 0 {
		t.Errorf("no values: %+v", none)
	}
}

// The example of RFC 3720 B.4, 32 bytes of zero: CRC-32C 8a9136aa.
func TestMaskedSum(t *testing.T) {
	sum := uint32(0x8a9136aa)
	if got, want := maskedSum(make([]byte, 32)), (sum>>15|sum<<17)+0xa282ead8; got != want {
		t.Fatalf("%08x, want %08x", got, want)
	}
}
