package executor

import (
	"context"
	"errors"
	"fmt"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/decode"
	"pipe.dev/executor/model"
	"pipe.dev/executor/session"
	"pipe.dev/schema"
)

// StageError says which stage of a document failed, and at which line it was
// written. Prepared is false if it failed before anything was read or run:
// then the document is at fault, else its data.
type StageError struct {
	Pos      ir.Pos
	Prepared bool
	Err      error
}

func (e *StageError) Error() string { return fmt.Sprintf("%v: %v", e.Pos, e.Err) }
func (e *StageError) Unwrap() error { return e.Err }

// stageError places an error at the line of its stage, unless it says itself
// where it belongs.
func stageError(pos ir.Pos, prepared bool, err error) error {
	for _, placed := range []func(error) bool{
		is[*checkpoint.Error], is[*schema.Error], is[*session.NaNError], is[*model.TokenizerError], is[*model.VocabError], is[*model.ChatError],
		is[*decode.ContextError], is[*decode.SourceError], is[interface {
			error
			Position() ir.Pos
		}],
	} {
		if placed(err) {
			return err
		}
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	return &StageError{Pos: pos, Prepared: prepared, Err: err}
}

func is[T error](err error) bool {
	var e T
	return errors.As(err, &e)
}
