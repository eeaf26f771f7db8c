package stage

import (
	"iter"
	"strings"

	"pipe.dev/executor/audio"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/image"
	"pipe.dev/executor/tensorfile"
)

// Kind says what flows along an edge of a pipeline.
type Kind string

// The kinds, and the Go type of each.
const (
	Text    Kind = "text"    // string, or Chunks while it is being made; []string of several
	IDs     Kind = "ids"     // []int32, or Tokens while they are being made; [][]int32 or []decode.Made of several
	Tensor  Kind = "tensor"  // tensorfile.Tensor
	Tensors Kind = "tensors" // []tensorfile.Tensor, or a Flow of one while it is being made
	Images  Kind = "images"  // []*image.Picture
	Audio   Kind = "audio"   // []*audio.Clip
	Model   Kind = "model"   // *model.Model
	Number  Kind = "number"  // float64
	Flag    Kind = "flag"    // bool
	List    Kind = "list"    // []any
)

// Value is what flows: one of the types named at the kinds.
type Value any

// Tokens are ids and their text while they are being made. They can be read
// once.
type Tokens iter.Seq2[decode.Piece, error]

// Chunks are parts of a text while it is being made. They can be read once.
type Chunks iter.Seq2[string, error]

// Flow is a tensor that comes in parts along an axis while they are being made. It can be
// read once.
type Flow struct {
	Whole tensorfile.Tensor // without its values
	Axis  int
	Parts iter.Seq2[tensorfile.Tensor, error]
}

// collect waits for all parts.
func (f Flow) collect() (Value, error) {
	var parts []tensorfile.Tensor
	for t, err := range f.Parts {
		if err != nil {
			return nil, err
		}
		parts = append(parts, t)
	}
	whole := f.Whole
	sizes := whole.Type.Sizes()
	for i := range size(sizes[:f.Axis]) {
		for _, t := range parts {
			row := len(t.Data) / size(sizes[:f.Axis])
			whole.Data = append(whole.Data, t.Data[i*row:(i+1)*row]...)
		}
	}
	return []tensorfile.Tensor{whole}, nil
}

// Each is one value for each of several elements, as for sentences, made one after the other. Those of
// stages can be read once; executor makes others of them.
type Each struct {
	Values iter.Seq2[Value, error]
}

// EachOf gives values that are there.
func EachOf(list []Value) Each {
	return Each{Values: func(yield func(Value, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}}
}

// Collect waits for what is still being made: Tokens become []int32, Chunks a
// string, a Flow the only one of several tensors. Other values stay as they are.
func Collect(v Value) (Value, error) {
	switch v := v.(type) {
	case Flow:
		return v.collect()
	case Tokens:
		ids := []int32{}
		for p, err := range v {
			if err != nil {
				return nil, err
			}
			if p.ID != decode.NoToken {
				ids = append(ids, p.ID)
			}
		}
		return ids, nil
	case Chunks:
		var text strings.Builder
		for s, err := range v {
			if err != nil {
				return text.String(), err
			}
			text.WriteString(s)
		}
		return text.String(), nil
	}
	return v, nil
}

// KindOf returns the kind of a value.
func KindOf(v Value) Kind {
	switch v.(type) {
	case string, Chunks, []string:
		return Text
	case []int32, Tokens, [][]int32, []decode.Made:
		return IDs
	case tensorfile.Tensor:
		return Tensor
	case []tensorfile.Tensor, Flow:
		return Tensors
	case []*image.Picture:
		return Images
	case []*audio.Clip:
		return Audio
	case float64:
		return Number
	case bool:
		return Flag
	case []any:
		return List
	}
	return Model
}
