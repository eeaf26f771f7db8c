package sampler

import "fmt"

// NaNError tells that the logits of a position leave nothing to choose from:
// one is not a number or +Inf, or all are -Inf. Its text is one line.
type NaNError struct {
	Position int     // as given to Next
	Index    int     // of the first such logit; -1 when all are -Inf
	Value    float32 // NaN, +Inf or -Inf
}

func (e *NaNError) Error() string {
	if e.Index < 0 {
		return fmt.Sprintf("position %d: no token is left to choose: every logit is -Inf", e.Position)
	}
	return fmt.Sprintf("position %d: the logit of token %d is %v", e.Position, e.Index, e.Value)
}
