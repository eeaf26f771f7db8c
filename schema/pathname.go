package schema

import (
	"slices"
	"strings"

	"cuelang.org/go/cue"
)

// pathNames shortens paths of values to what a person calls them.
type pathNames struct {
	documents []string // top-level fields that hold documents
	graphs    []string // those that are graphs
	config    bool     // paths are those of a config.json
}

// pathNames says which top-level fields are documents. Their kinds are not
// always known, as the document has mistakes.
func (e *evaluation) pathNames() pathNames {
	names := pathNames{config: e.source.shown != ""}
	for _, f := range documentFields(e.source.file) {
		name := fieldName(f)
		kind := kindOf(e.value.LookupPath(cue.MakePath(cue.Str(name))))
		if kind == kindGraph {
			names.graphs = append(names.graphs, name)
		}
		if kind != "" {
			names.documents = append(names.documents, name)
		}
	}
	return names
}

// short drops the name of the only document, and writes paths in a graph as
// ids of nodes: model.layers.{i}.mlp for nodes.model.nodes.layers.body.block.nodes.mlp.
func (n pathNames) short(path []string) string {
	if len(path) == 0 {
		return ""
	}
	if n.config {
		return configPath(path)
	}
	graph := slices.Contains(n.graphs, path[0]) || strings.HasPrefix(path[0], "#") || len(n.documents) == 0 && slices.Contains(path, "body")
	if len(n.documents) == 1 && path[0] == n.documents[0] && len(path) > 1 {
		path = path[1:]
	}
	path = slices.DeleteFunc(slices.Clone(path), func(s string) bool { // checks of definitions
		return strings.HasPrefix(s, "_") && s != path[0]
	})
	if i := slices.Index(path, "#graph"); i > 0 && i+1 < len(path) { // a recipe's model, made of its config
		path = slices.Delete(path, i, i+2)
	}
	if !graph {
		return strings.Join(path, ".")
	}
	var out []string
	for i := 0; i < len(path); i++ {
		switch {
		case path[i] == "nodes" && i+1 < len(path):
		case path[i] == "body" && i+1 < len(path):
			out = append(out, "{i}")
			i++
		default:
			out = append(out, path[i])
		}
	}
	return strings.Join(out, ".")
}

// configPath is the path inside a config.json.
func configPath(path []string) string {
	for i, s := range path {
		if s == "config" || s == "_checks" {
			return strings.Join(path[i+1:], ".")
		}
	}
	return ""
}
