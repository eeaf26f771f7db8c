package schema

import (
	"cuelang.org/go/cue/errors"
	"fmt"
)

func (e *evaluation) diagnose(err error) error {
	return fmt.Errorf("RAW %s", errors.Details(err, nil))
}
