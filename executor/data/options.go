package data

import (
	"fmt"
	"slices"
)

// BatchOptions say how a data set becomes batches.
type BatchOptions struct {
	Batch   int    `cue:"batch!: int & >0" doc:"rows of a batch"`
	Seq     int    `cue:"seq?: int & >0" doc:"tokens of a row; of text alone"`
	Order   string `cue:"order: \"random\" | \"file\" | *\"shuffle\"" doc:"shuffle takes everything once before anything twice, by a permutation of the seed; random draws anew each time; file keeps the order of the files"`
	Rows    string `cue:"rows: \"window\" | \"pad\" | \"bucket\" | *\"pack\"" doc:"what fills a row: a window of the text as one stream, several documents, one document, or one document with those of its length"`
	Buckets []int  `cue:"buckets: [...int & >0] | *[]" doc:"the lengths of rows for rows: \"bucket\", ascending; the last is seq"`
	Long    string `cue:"long: \"cut\" | \"skip\" | *\"split\"" doc:"what happens to a document longer than a row: it is split over several rows, loses its end, or is left out"`
	Isolate bool   `cue:"isolate: bool | *true" doc:"documents in a row do not see each other"`
	Epochs  int    `cue:"epochs: int & >=0 | *0" doc:"how often each source is gone through; 0 is without end"`

	Seed     int   // chooses the order
	Pad      int32 // the id in padding
	Rank     int   // this process gives the Rank-th of World equal blocks of a batch's rows
	World    int   // 0 counts as 1
	Prefetch int   // batches made ahead by a goroutine; 0 makes each when it is asked for

	// Of pictures: how those of a batch are mixed, or nil; whether they are for an evaluation, as nothing is drawn for; whether they are left
	// out, as where only shapes matter; how many are decoded at once, 0 for one on each processor.
	Mix      *MixAttr
	Evaluate bool
	Blank    bool
	Workers  int
}

// check holds the options against the data, and settles defaults.
func (o *BatchOptions) check(d *Dataset) error {
	o.World = max(o.World, 1)
	if err := o.Check(); err != nil {
		return err
	}
	switch {
	case o.Batch%o.World != 0 || o.Rank < 0 || o.Rank >= o.World:
		return optionErrorf("batch", "%d rows do not divide over %d processes, of which this is number %d", o.Batch, o.World, o.Rank)
	case len(d.parts) == 0:
		return fmt.Errorf("the data set has no tokens")
	}
	return o.checkGroups(d)
}

// Check reports what the schema would not let through, and what does not go
// together whatever the data are, by an *OptionError.
func (o *BatchOptions) Check() error {
	var names []string
	for _, a := range arrangements {
		names = append(names, a.name)
	}
	switch err := firstError(
		oneOf("order", o.Order, []string{"shuffle", "random", "file"}),
		oneOf("rows", o.Rows, names),
		oneOf("long", o.Long, []string{"split", "cut", "skip"})); {
	case err != nil:
		return err
	case o.Batch < 1:
		return optionErrorf("batch", "is %d rows, want at least 1", o.Batch)
	case o.Seq < 1:
		return optionErrorf("seq", "is missing: how many tokens a row has")
	case int64(o.Batch)*int64(o.Seq) > 1<<31:
		return optionErrorf("batch", "%d rows of %d tokens are more than 2^31 tokens", o.Batch, o.Seq)
	case o.Epochs < 0 || o.Prefetch < 0:
		return optionErrorf("epochs", "is %d, prefetch %d: want at least 0", o.Epochs, o.Prefetch)
	case o.Rows == "bucket" && len(o.Buckets) == 0:
		return optionErrorf("buckets", "none given for rows: \"bucket\"")
	case o.Rows == "bucket" && (!slices.IsSorted(o.Buckets) || o.Buckets[0] < 1 || o.Buckets[len(o.Buckets)-1] != o.Seq):
		return optionErrorf("buckets", "are %v, want ascending lengths of which the last is seq, %d", o.Buckets, o.Seq)
	}
	return nil
}

// checkGroups holds documents that belong together against the options.
func (o *BatchOptions) checkGroups(d *Dataset) error {
	g := d.parts[0].foot.Group
	for _, p := range d.parts {
		if p.foot.Group != g {
			return fmt.Errorf("sources of %d and of %d documents to a row do not mix", g, p.foot.Group)
		}
	}
	switch {
	case g == 1:
		return nil
	case o.Rows == "window" || o.Rows == "pack":
		return optionErrorf("rows", "%q takes pairs apart, want \"pad\" or \"bucket\"", o.Rows)
	case o.Long == "split":
		return optionErrorf("long", "\"split\" takes pairs apart, want \"cut\" or \"skip\"")
	case o.Batch/o.World%g != 0:
		return optionErrorf("batch", "%d rows for each of %d processes do not hold whole pairs", o.Batch/o.World, o.World)
	}
	return nil
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Batch is what a step of training takes. All arrays are [Rows, Seq], row by row.
type Batch struct {
	Rows, Seq int
	IDs       []int32
	Targets   []int32   // the id that follows
	Weights   []float32 // 1 where the loss counts the target; 0 for prompts, padding and borders of documents
	Segments  []int32   // the number of the document within its row, from 0; -1 is padding
	Positions []int32   // the place within the document, from 0 in each row

	// Values are, of examples, what each input of the model gets, little-endian,
	// instead of ids; Seq is 0 then.
	Values map[string][]byte
	Bucket int     // of pictures that have several sizes
	Step   int64   // batches of examples before it
	Draws  []int64 // of examples: which of all epochs each is

	Used    int // slots that are not padding
	Trained int // slots of weight 1
}

// reset makes a batch of padding, in the memory it has.
func (b *Batch) reset(rows, seq int, pad int32) {
	n := rows * seq
	b.Rows, b.Seq, b.Used, b.Trained = rows, seq, 0, 0
	if cap(b.IDs) < n {
		b.IDs, b.Targets, b.Weights = make([]int32, n), make([]int32, n), make([]float32, n)
		b.Segments, b.Positions = make([]int32, n), make([]int32, n)
	}
	b.IDs, b.Targets, b.Weights, b.Segments, b.Positions = b.IDs[:n], b.Targets[:n], b.Weights[:n], b.Segments[:n], b.Positions[:n]
	for i := range n {
		b.IDs[i], b.Targets[i], b.Segments[i] = pad, pad, -1
	}
	clear(b.Weights)
	clear(b.Positions)
}
