package data

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"pipe.dev/executor/image"
	"pipe.dev/executor/transform"
)

// MixAttr says how pictures of a batch, and the probabilities of their classes, are mixed with those before them, while training.
type MixAttr struct {
	Mixup  float64 `cue:"mixup: number & >=0 | *0" doc:"all of two pictures are added up, in shares of the distribution Beta(mixup, mixup); 0 is never. Source: arXiv:1710.09412"`
	CutMix float64 `cue:"cutmix: number & >=0 | *0" doc:"a box of a picture is that of another, whose share goes by Beta(cutmix, cutmix); 0 is never. Where both are given, a batch has either, alike likely. Source: arXiv:1905.04899"`
	P      float64 `cue:"p: number & >=0 & <=1 | *1" doc:"how likely a batch is mixed"`
}

// aheadBatches is how many batches are made before they are asked for, at most.
const aheadBatches = 2

// shownPicture is a picture of a row, and what became of it.
type shownPicture struct {
	from  *picture
	frame *transform.Frame
}

// decoding is a batch whose rows are being filled.
type decoding struct {
	batch Batch
	plan  planned
	rows  []int // their examples
	left  atomic.Int32
	done  chan struct{}
	ok    bool // there is a batch
	mutex sync.Mutex
	errs  map[int]error // by row
	warns map[int][]error
}

// ahead makes batches before they are asked for. What is in them, and their order, does not depend on who makes them.
type ahead struct {
	full, empty chan *decoding
	tasks       chan task
	stop        chan struct{}
	running     sync.WaitGroup
}

type task struct {
	of  *decoding
	row int
}

// start lets goroutines decode.
func (l *ExampleLoader) start() {
	workers := l.o.Workers
	if workers < 1 {
		workers = runtime.GOMAXPROCS(0)
	}
	a := &ahead{full: make(chan *decoding, aheadBatches), empty: make(chan *decoding, aheadBatches), tasks: make(chan task), stop: make(chan struct{})}
	for range aheadBatches {
		a.empty <- &decoding{}
	}
	l.ahead = a
	a.running.Go(func() { l.feed(a) })
	for range workers {
		a.running.Go(func() {
			for {
				select {
				case <-a.stop:
					return
				case t := <-a.tasks:
					l.decode(t)
				}
			}
		})
	}
}

// feed plans batches, and hands out their rows.
func (l *ExampleLoader) feed(a *ahead) {
	for {
		var d *decoding
		select {
		case <-a.stop:
			return
		case d = <-a.empty:
		}
		d.done, d.errs, d.warns = make(chan struct{}), map[int]error{}, map[int][]error{}
		if d.ok = l.plan(&d.plan); !d.ok {
			close(d.done)
			a.full <- d // has room for all
			return
		}
		l.reset(&d.batch, &d.plan)
		d.rows = d.rows[:0]
		for _, i := range d.plan.draws {
			d.rows = append(d.rows, l.at(i))
		}
		d.left.Store(int32(len(d.rows)))
		a.full <- d
		for row := range d.rows {
			select {
			case <-a.stop:
				return
			case a.tasks <- task{d, row}:
			}
		}
	}
}

// decode fills a row, and mixes the batch if it is the last. Where pictures that can't be read are left out, the next example of the same
// bucket stands for it.
func (l *ExampleLoader) decode(t task) {
	d := t.of
	example := d.rows[t.row]
	err := l.row(&d.batch, &d.plan, t.row, example)
	for i := 1; err != nil && l.e.lenient && i < l.e.Len(); i++ {
		warn := err
		if example = l.after(example, d.plan.bucket); example == d.rows[t.row] {
			break
		}
		err = l.row(&d.batch, &d.plan, t.row, example)
		d.mutex.Lock()
		d.warns[t.row] = append(d.warns[t.row], warn)
		d.mutex.Unlock()
	}
	if err != nil {
		d.mutex.Lock()
		d.errs[t.row] = err
		d.mutex.Unlock()
	}
	if d.left.Add(-1) > 0 {
		return
	}
	if len(d.errs) == 0 && !l.o.Evaluate && l.o.Mix != nil {
		l.mix(&d.batch)
	}
	close(d.done)
}

// after is the next example of a bucket, the first one after the last.
func (l *ExampleLoader) after(example, bucket int) int {
	for range l.e.Len() {
		if example++; example >= l.e.total {
			example = 0
		}
		if l.e.uses(example) && l.e.bucketOf(example) == bucket {
			break
		}
	}
	return example
}

// nextDecoded is Next for pictures.
func (l *ExampleLoader) nextDecoded(dst *Batch) error {
	if l.ahead == nil {
		l.start()
	}
	d := <-l.ahead.full
	<-d.done
	if !d.ok {
		l.ahead.full <- d // for the next call
		return io.EOF
	}
	for row := range d.rows {
		for _, err := range d.warns[row] {
			l.e.tell(err)
		}
	}
	for row := range d.rows {
		if err := d.errs[row]; err != nil {
			return err
		}
	}
	d.batch, *dst = *dst, d.batch
	d.plan.after.copyTo(&l.pos)
	l.ahead.empty <- d
	return nil
}

func (a *ahead) close() {
	close(a.stop)
	a.running.Wait()
}

// mix mixes the pictures of a batch, and the classes that are probabilities, by what is drawn for its number.
func (l *ExampleLoader) mix(b *Batch) {
	m := l.o.Mix
	dice := image.NewDice(uint64(l.o.Seed), "mix", uint64(b.Step))
	if b.Rows < 2 || dice.Float() >= m.P {
		return
	}
	cut := m.Mixup == 0 || m.CutMix > 0 && dice.Float() < 0.5
	alpha := m.Mixup
	if cut {
		alpha = m.CutMix
	}
	share := dice.Beta(alpha)
	for i := range l.e.fields {
		f := &l.e.fields[i]
		if f.Images == nil {
			continue
		}
		x := floats(b.Values[f.Name])
		if !cut {
			x, _ = image.Mixup(x, nil, b.Rows, share)
		} else {
			s := l.e.sizeOf(i, b.Bucket)
			shape := [4]int{b.Rows, f.Shape[0], s[1], s[0]}
			x, _ = image.CutMix(x, nil, shape, share, image.NewDice(uint64(l.o.Seed), "box", uint64(b.Step)))
		}
		put(b.Values[f.Name], x)
	}
	if cut {
		s := l.e.sizeOf(l.e.firstPicture(), b.Bucket)
		share = image.CutShare(s[0], s[1], share, image.NewDice(uint64(l.o.Seed), "box", uint64(b.Step)))
	}
	for i := range l.e.fields {
		if f := &l.e.fields[i]; f.probabilities() {
			y, _ := image.Mixup(floats(b.Values[f.Name]), nil, b.Rows, share)
			put(b.Values[f.Name], y)
		}
	}
}

// probabilities reports whether an input is classes as probabilities.
func (f *Field) probabilities() bool { return f.classed }

// CheckMix wants something to mix, and probabilities that can be mixed with it.
func (e *Examples) CheckMix(m *MixAttr) error {
	switch {
	case m.Mixup == 0 && m.CutMix == 0:
		return errors.New("give mixup, cutmix, or both")
	case !e.pictured():
		return errors.New("mixes pictures, and no input is one")
	}
	for i := range e.fields {
		f := &e.fields[i]
		if len(f.Classes) > 0 && !f.probabilities() {
			return fmt.Errorf("the input %s is the number of a class, which can't be mixed; make it probabilities, f32 [\"batch\", %d], with the objective soft_cross_entropy", f.Name, len(f.Classes))
		}
	}
	return nil
}
