package learn

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pipe.dev/compiler/ir"
	"pipe.dev/compiler/train"
	"pipe.dev/executor/adapter"
	"pipe.dev/executor/checkpoint"
	"pipe.dev/executor/hub"
	"pipe.dev/internal/suggest"
	"pipe.dev/schema"
)

// Member is one of the models that a recipe is about: the one that it trains, or
// one of those that this one calls, whose weights' paths begin with its name.
type Member struct {
	Name string // in models; "" of the recipe's own
	ModelAttr
	Adapter *AdapterAttr // nil if there is none

	baseName   string // of the model, as the document has it
	arch       *schema.Model
	from       *adapter.Adapter       // that is trained on; nil if there is none
	beginnings []beginning            // of parts
	base       *checkpoint.Checkpoint // of the folder, whose mapped pages weights that stay may lie in; nil for a new model
}

// Path is where the document describes the member.
func (m *Member) Path() string {
	if m.Name == "" {
		return "model"
	}
	return "models." + m.Name
}

// global is the path in the recipe of a weight of the member.
func (m *Member) global(path string) string {
	if m.Name == "" {
		return path
	}
	return m.Name + "." + path
}

// members decodes the recipe's models.
func (d *decoder) members(out *Recipe) {
	out.Model = d.member("", d.object("model"))
	models := d.object("models")
	for _, name := range slices.Sorted(maps.Keys(models)) {
		fields, _ := models[name].(map[string]any)
		out.Models = append(out.Models, d.member(name, fields))
	}
}

func (d *decoder) member(name string, fields map[string]any) *Member {
	m := &Member{Name: name}
	of := &decoder{fields: map[string]any{m.Path(): fields}}
	m.ModelAttr = part[ModelAttr](of, m.Path())
	if a, ok := fields["adapter"].(map[string]any); ok {
		at := m.Path() + ".adapter"
		of.fields[at] = a
		a := part[AdapterAttr](of, at)
		m.Adapter = &a
	}
	d.fail(of.at, of.err)
	return m
}

// members are all models of a recipe, its own first.
func (r *Recipe) members() []*Member { return append([]*Member{r.Model}, r.Models...) }

// of finds the model that a weight belongs to, and its path there.
func (r *Recipe) of(path string) (*Member, string) {
	for _, m := range r.Models {
		if rest, ok := strings.CutPrefix(path, m.Name+"."); ok {
			return m, rest
		}
	}
	return r.Model, path
}

// Adapts reports whether any model has an adapter.
func (r *Recipe) Adapts() bool {
	return slices.ContainsFunc(r.members(), func(m *Member) bool { return m.Adapter != nil })
}

// folders puts folders of the cache in the place of models of a hub.
func (r *Recipe) folders() error {
	var paths []*string
	for _, m := range r.members() {
		m.baseName = m.From
		paths = append(paths, &m.From)
		if m.Adapter != nil {
			paths = append(paths, &m.Adapter.From)
		}
	}
	if r.Tokenizer != "model" && r.Tokenizer != "characters" {
		paths = append(paths, &r.Tokenizer)
	}
	for _, p := range paths {
		folder, err := hub.Folder(*p)
		if err != nil {
			return err
		}
		*p = folder
	}
	return nil
}

// openMembers reads the architectures of all models, and puts those that are
// called into the calls.
func (r *Run) openMembers() error {
	doc := r.doc.Recipe
	for _, m := range r.Recipe.members() {
		m.arch = doc.Model
		if m.Name != "" {
			m.arch = doc.Models[m.Name]
		}
		var err error
		if m.From != "" && (m.Name == "" || m.arch == nil) {
			if m.arch, err = schema.LoadModel(m.From); err != nil {
				return err
			}
		}
		if m.arch == nil {
			return r.mistake(m.Path(), "give from, a folder, or config, an architecture to train from scratch, or graph, one of your own")
		}
	}
	r.model = r.Recipe.Model.arch
	return r.connect()
}

// connect finds the models that the graph calls.
func (r *Run) connect() error {
	var errs schema.Errors
	called := map[string]bool{}
	for _, n := range r.model.Calls() {
		name, _ := n.Fields["model"].(string)
		i := slices.IndexFunc(r.Recipe.Models, func(m *Member) bool { return m.Name == name })
		if i < 0 {
			var names []string
			for _, m := range r.Recipe.Models {
				names = append(names, m.Name)
			}
			e := &schema.Error{Pos: n.Pos, Msg: fmt.Sprintf("calls %q, which is none of the recipe's models, %v", name, names), Hint: suggest.DidYouMean(name, names)}
			errs = append(errs, e)
			continue
		}
		n.Called, called[name] = r.Recipe.Models[i].arch, true
	}
	for _, m := range r.Recipe.Models {
		if !called[m.Name] && len(errs) == 0 {
			e := r.mistake(m.Path(), "is not called by model.graph")
			e.Hint = fmt.Sprintf("write op.#Call & {model: %q, with: ...}", m.Name)
			errs = append(errs, e)
		}
	}
	if len(errs) > 0 {
		return errs
	}
	return nil
}

// checkNames refuses weights of the graph that look like those of a model that
// it calls: nodes that are called as a model is.
func (r *Run) checkNames() error {
	for _, n := range r.model.Nodes {
		for _, m := range r.Recipe.Models {
			if n.Op != ir.OpCall && n.Op != ir.OpInput && n.ID == m.Name {
				return &schema.Error{Pos: n.Pos, Msg: fmt.Sprintf("is called as %s is, so that their weights would not be told apart", m.Path()), Hint: "give the node another name"}
			}
		}
	}
	return nil
}

// close gives files back.
func (m *Member) close() {
	if m == nil {
		return
	}
	if m.base != nil {
		m.base.Close()
	}
	for _, b := range m.beginnings {
		b.weights.Close()
	}
	if m.from != nil {
		m.from.Close()
	}
}

// tensor is the name in the member's files of its weight at a path.
func (m *Member) tensor(path string) string { return m.base.Name(path, m.arch.Prefixes) }

// stays reports whether a weight is one that the member keeps as it was.
func (m *Member) frozen(path string) bool {
	return slices.ContainsFunc(m.Freeze, func(p string) bool { return train.Match(p, path) })
}
