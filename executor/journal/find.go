package journal

import (
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"pipe.dev/internal/suggest"
)

// Find returns the folders of the runs that a person means by a word, oldest
// first: a run's folder, or, among the runs below root, those of this name, or
// the one whose folder's name or hash begins with it.
func Find(root, word string) ([]string, error) {
	if _, err := (osDisk{}).stat(filepath.Join(word, aboutName)); err == nil {
		return []string{filepath.Clean(word)}, nil
	}
	runs, err := List(root)
	if err != nil {
		return nil, err
	}
	pick := func(means func(Summary) bool) (folders []string) {
		for _, s := range runs {
			if means(s) {
				folders = append(folders, s.Folder)
			}
		}
		return folders
	}
	found := pick(func(s Summary) bool { return s.Name == word })
	if len(found) == 0 {
		found = pick(func(s Summary) bool {
			return strings.HasPrefix(filepath.Base(s.Folder), word) || len(word) >= 4 && strings.HasPrefix(s.Hash, word)
		})
	}
	if len(found) == 0 {
		var known []string
		for _, s := range runs {
			known = append(known, s.Name, filepath.Base(s.Folder))
		}
		hint := ""
		if near := suggest.DidYouMean(word, known); near != "" {
			hint = "; " + near
		}
		return nil, errorf(word, "is no run, nor the name or the hash of one in %s%s", root, hint)
	}
	return found, nil
}

// Order sorts runs by a column: "started", "name", "state", "steps", "loss" or
// "eval", the best first; those without come last.
func Order(runs []Summary, column string) error {
	number := func(n *Number) (int, Number) {
		if n == nil || *n != *n {
			return 1, 0
		}
		return 0, *n
	}
	by := func(get func(Summary) *Number) func(a, b Summary) int {
		return func(a, b Summary) int {
			x, v := number(get(a))
			y, w := number(get(b))
			return cmp.Or(cmp.Compare(x, y), cmp.Compare(v, w))
		}
	}
	columns := map[string]func(a, b Summary) int{
		"started": func(a, b Summary) int { return a.Started.Compare(b.Started) },
		"name":    func(a, b Summary) int { return cmp.Compare(a.Name, b.Name) },
		"state":   func(a, b Summary) int { return cmp.Compare(a.State, b.State) },
		"steps":   func(a, b Summary) int { return cmp.Compare(b.Step, a.Step) },
		"loss":    by(func(s Summary) *Number { return s.Loss }),
		"eval":    by(func(s Summary) *Number { return s.EvalLoss }),
	}
	compare, ok := columns[column]
	if !ok {
		return fmt.Errorf("%q is no column: want started, name, state, steps, loss or eval", column)
	}
	slices.SortStableFunc(runs, compare)
	return nil
}
