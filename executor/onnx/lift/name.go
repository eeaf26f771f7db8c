package lift

import (
	"fmt"
	"regexp"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/executor/onnx"
)

// cmpName is what names a node: its own name, that of its first output, or its
// operation.
func cmpName(n *onnx.Node) string {
	if n.Name != "" {
		return n.Name
	}
	for _, out := range n.Out {
		if out != "" {
			return out
		}
	}
	return n.Op
}

// cmpOut is the name of a node's first output.
func cmpOut(n *onnx.Node) string {
	if len(n.Out) == 0 {
		return n.Name
	}
	return n.Out[0]
}

var (
	notWord = regexp.MustCompile(`[^A-Za-z0-9]+`)
	path    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z0-9_]+)+$`)
	whole   = regexp.MustCompile(`^[a-z_][a-z0-9_]*$`)
	made    = regexp.MustCompile(`^(onnx|val|v|t|tensor|const|constant|initializer|input|unnamed|_)?_*[0-9]*$`)
)

// telling reports whether the name of a constant is one that people gave it, so
// that the weight keeps it.
func telling(name string) bool {
	return len(name) < 200 && (path.MatchString(name) || whole.MatchString(name) && !made.MatchString(name))
}

// identifier is a name as a field of a document: letters, digits and lines
// between them.
func identifier(name string) string {
	const most = 120
	s := strings.Trim(notWord.ReplaceAllString(name, "_"), "_")
	if len(s) > most {
		s = strings.Trim(s[len(s)-most:], "_")
	}
	if s == "" || s[0] >= '0' && s[0] <= '9' {
		s = "n" + s
	}
	return s
}

// sizeName is a name as a named size.
func sizeName(name string) string {
	s := strings.ToLower(identifier(name))
	if s[0] >= '0' && s[0] <= '9' {
		s = "n" + s
	}
	return s
}

// unique returns a name that nothing has yet, and takes it.
func (l *lifter) unique(name string) string {
	s := name
	for l.taken[s] {
		l.numbered[name]++
		s = fmt.Sprintf("%s_%d", name, l.numbered[name]+1)
	}
	l.taken[s] = true
	return s
}

// named gives the node that makes x the name of what is lifted.
func (l *lifter) named(x ir.Value) ir.Value {
	l.check()
	if l.names[x.Node] == "" {
		l.names[x.Node] = l.unique(l.id)
	}
	return x
}

// nameNodes names the nodes that were made since from: the first result has the
// name of what is lifted, what leads to it that and its operation.
func (l *lifter) nameNodes(from int, out []*value) {
	for _, v := range out {
		if v != nil && v.node.Valid() && v.node.Node.Op != ir.OpState && v.node.Node.ID >= from {
			l.named(v.node)
			break
		}
	}
	for _, n := range l.b.Graph.Nodes[from:] {
		if n.Op != ir.OpState && l.names[n] == "" {
			l.names[n] = l.unique(l.id + "_" + n.Op)
		}
	}
}

// shorten takes away what the names of nodes have in front that all have: a
// graph that is one branch of another, or a part of a program.
func shorten(names []string, separators string) (prefix int) {
	if len(names) < 2 {
		return 0
	}
	common := names[0]
	for _, s := range names[1:] {
		n := 0
		for n < len(common) && n < len(s) && common[n] == s[n] {
			n++
		}
		common = common[:n]
	}
	prefix = strings.LastIndexAny(common, separators) + 1
	for _, s := range names { // what is left must be a name
		for prefix > 0 && (prefix >= len(s) || !letter(s[prefix])) {
			prefix = strings.LastIndexAny(common[:prefix-1], separators) + 1
		}
	}
	return prefix
}

func letter(b byte) bool { return b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' }

// shortNames shortens the names of nodes and weights.
func (l *lifter) shortNames(g *ir.Graph) {
	var nodes []*ir.Node
	var names, paths []string
	for _, n := range g.Nodes {
		if n.Op != ir.OpState && n.Op != ir.OpInput {
			nodes, names = append(nodes, n), append(names, l.names[n])
		}
	}
	cutNodes := shorten(names, "_")
	inputs := map[string]bool{}
	for _, in := range g.Inputs {
		inputs[l.names[in.Node]] = true
	}
	for _, s := range names {
		if inputs[s[cutNodes:]] {
			cutNodes = 0
		}
	}
	names0 := ""
	for i, n := range nodes {
		names0 = names[i]
		l.names[n] = names[i][cutNodes:]
	}
	for _, s := range g.States {
		if !l.states[s.Path].own {
			paths = append(paths, s.Path)
		}
	}
	cutPaths := shorten(paths, "._")
	seen := map[string]bool{}
	for _, s := range g.States {
		at, old := l.states[s.Path], s.Path
		short := old[cutPaths:]
		if at.own {
			short = strings.TrimPrefix(old, names0[:cutNodes])
		}
		if seen[short] {
			short = old
		}
		seen[short] = true
		s.Path, at.path = short, short
		s.Read.Node.Attr = ir.StateAttr{Path: short}
		l.final = append(l.final, at)
	}
}
