package stage

import (
	"regexp"
	"strconv"
)

// piece is a stretch of a prompt, and how much it counts.
type piece struct {
	text   string
	weight float64
	stop   bool // no text, but the end of a part
}

// marks are what means something in a prompt: an escaped character, an opening
// bracket, the end of a weighted one, a closing one, and BREAK.
var marks = regexp.MustCompile(`\\[()\[\]\\]?|[(\[]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|[)\]]|\s*\bBREAK\b\s*`)

// weigh reads a prompt as the popular programs write it: ( ) is 1.1 times, [ ] is
// 1/1.1, (text:1.3) is 1.3 times, one in another is multiplied, and a bracket that is
// not closed counts up to the end. A backslash before a bracket or a backslash makes
// it text, and any other is left out. Neighbours of one weight are one piece.
func weigh(prompt string) []piece {
	var list []piece
	var round, square []int // where the open brackets began, in list
	text := func(s string) {
		if s != "" {
			list = append(list, piece{text: s, weight: 1})
		}
	}
	scale := func(from int, by float64) {
		for i := from; i < len(list); i++ {
			list[i].weight *= by
		}
	}
	pop := func(stack *[]int) (from int, ok bool) {
		if n := len(*stack); n > 0 {
			from, *stack = (*stack)[n-1], (*stack)[:n-1]
			return from, true
		}
		return 0, false
	}
	at := 0
	for _, m := range marks.FindAllStringSubmatchIndex(prompt, -1) {
		text(prompt[at:m[0]])
		mark := prompt[m[0]:m[1]]
		at = m[1]
		switch {
		case mark[0] == '\\':
			text(mark[1:])
		case mark == "(":
			round = append(round, len(list))
		case mark == "[":
			square = append(square, len(list))
		case mark == "]" || mark == ")":
			stack, by := &round, 1.1
			if mark == "]" {
				stack, by = &square, 1/1.1
			}
			if from, ok := pop(stack); ok {
				scale(from, by)
			} else {
				text(mark)
			}
		case m[2] >= 0:
			by, err := strconv.ParseFloat(prompt[m[2]:m[3]], 64)
			if from, ok := pop(&round); ok && err == nil && finite(by) {
				scale(from, by)
			} else {
				text(mark)
			}
		default:
			list = append(list, piece{weight: 1, stop: true})
		}
	}
	text(prompt[at:])
	for _, from := range round {
		scale(from, 1.1)
	}
	for _, from := range square {
		scale(from, 1/1.1)
	}
	return joined(list)
}

// joined puts neighbours of one weight together.
func joined(list []piece) []piece {
	var out []piece
	for _, p := range list {
		if n := len(out); n > 0 && !p.stop && !out[n-1].stop && out[n-1].weight == p.weight {
			out[n-1].text += p.text
			continue
		}
		out = append(out, p)
	}
	return out
}
