package cuda

import (
	"fmt"
	"strings"
)

// cut returns the part of PTX that one kernel needs, so that the driver compiles no
// other: a file holds as many as 30, of which a plan takes a few.
func cut(text, kernel string) (string, error) {
	const entry = ".visible .entry "
	first, from := strings.Index(text, entry), strings.Index(text, entry+kernel+"(")
	if from < 0 {
		return "", fmt.Errorf("no kernel %s", kernel)
	}
	size := strings.Index(text[from:], "\n}\n")
	if size < 0 {
		return "", fmt.Errorf("kernel %s has no end", kernel)
	}
	body := text[from : from+size+3]
	var head strings.Builder
	for line := range strings.Lines(text[:first]) {
		code, _, _ := strings.Cut(strings.TrimSpace(line), "//")
		if code == "" || array(code) != "" && !strings.Contains(body, array(code)) {
			continue
		}
		head.WriteString(line)
	}
	return head.String() + body, nil
}

// array is the name of the array that a line before all kernels declares, if it
// does.
func array(line string) string {
	for _, space := range []string{".global ", ".const ", ".shared ", ".extern "} {
		if rest, ok := strings.CutPrefix(line, space); ok {
			words := strings.Fields(rest[:max(0, strings.Index(rest, "["))])
			if len(words) > 0 {
				return words[len(words)-1]
			}
		}
	}
	return ""
}
