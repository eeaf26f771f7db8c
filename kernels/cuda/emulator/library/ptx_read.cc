// Reading the body of a kernel. What is not known here fails when the module is loaded.
#include "ptx_scope.h"
#include "queue.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace emulator {

static size_t past_digits(const std::string &s) {
	size_t n = s.size();
	while (n && isdigit(s[n - 1])) n--;
	return n;
}

bool Source::has(const char *part) const {
	for (auto &p : name)
		if (p == part) return true;
	return false;
}

Type type_of(const std::string &s) {
	if (s == "pred") return {'p', 4};
	if (s == "bf16") return {'g', 2};
	if (s == "f16") return {'h', 2};
	if (s.size() < 2 || s.size() > 3 || !strchr("bsuf", s[0]) || strspn(s.c_str() + 1, "0123456789") + 1 != s.size()) return {};
	return {s[0], (u8)(atoi(s.c_str() + 1) / 8)};
}

// room takes bytes of a warp's file for a register.
static Place room_for(Body &b, u8 size, bool predicate) {
	Place p = {b.file, size};
	b.file += (predicate ? 4 : 32 * size) + 63 & ~63u;
	return p;
}

static Place fixed(Body &b, u64 value, u8 size, bool after_shared = false) {
	for (auto &f : b.fixed)
		if (f.value == value && f.place.size == size && f.after_shared == after_shared) return f.place;
	b.fixed.push_back({room_for(b, size, false), value, after_shared});
	return b.fixed.back().place;
}

static Place special(Body &b, u32 which) {
	if (!b.special[which]) b.special[which] = room_for(b, 4, false).at;
	return {b.special[which], 4};
}

static bool register_of(Scope &s, Body &b, const std::string &word, Place &p) {
	for (Scope *in = &s; in; in = in->outer) {
		if (auto i = in->places.find(word); i != in->places.end()) return p = i->second, true;
		auto d = in->declared.find(word);
		if (d == in->declared.end()) d = in->declared.find(word.substr(0, past_digits(word)) + "<");
		if (d == in->declared.end()) continue;
		return p = in->places[word] = room_for(b, d->second.size, d->second.kind == 'p'), true;
	}
	return false;
}

// symbol is the address of a variable or parameter, in its space.
static bool symbol(Scope &s, Body &b, const std::string &word, u8 size, Place &p) {
	for (Scope *in = &s; in; in = in->outer) {
		if (word == in->entry) return p = fixed(b, param_begins, size), true;
		if (auto i = in->locals.find(word); i != in->locals.end()) return p = fixed(b, i->second, size), true;
	}
	auto i = s.text.variables.find(word);
	if (i == s.text.variables.end()) return false;
	Variable &v = i->second;
	if (v.space == Space::Global) return p = fixed(b, (u64)v.data.data(), size), true;
	if (v.dynamic) return b.dynamic_align = v.align > b.dynamic_align ? v.align : b.dynamic_align, p = fixed(b, 0, size, true), true;
	std::string key = "shared " + word; // where the kernel has it
	Scope *outer = &s;
	while (outer->outer) outer = outer->outer;
	if (!outer->locals.count(key)) {
		b.shared = (b.shared + v.align - 1) / v.align * v.align;
		outer->locals[key] = room_begins + b.shared;
		b.shared += v.bytes;
	}
	return p = fixed(b, outer->locals[key], size), true;
}

Place place_of(Scope &s, Body &b, const std::string &word, Type t) {
	static const std::map<std::string, u32> names = {{"%tid.x", TidX}, {"%tid.y", TidY}, {"%tid.z", TidZ}, {"%ntid.x", NtidX}, {"%ntid.y", NtidY}, {"%ntid.z", NtidZ},
		{"%ctaid.x", CtaidX}, {"%ctaid.y", CtaidY}, {"%ctaid.z", CtaidZ}, {"%nctaid.x", NctaidX}, {"%nctaid.y", NctaidY}, {"%nctaid.z", NctaidZ}, {"%laneid", Lane}};
	Place p;
	if (auto i = names.find(word); i != names.end()) return special(b, i->second);
	if (register_of(s, b, word, p) || symbol(s, b, word, t.size, p)) return p;
	if (word.substr(0, 2) == "0f" || word.substr(0, 2) == "0d") return fixed(b, strtoull(word.c_str() + 2, nullptr, 16), t.size);
	if (word == "_") return room_for(b, 8, false);
	char *end;
	u64 v = word[0] == '-' ? (u64)strtoll(word.c_str(), &end, 0) : strtoull(word.c_str(), &end, 0);
	if (*end || word.empty()) failed(s.text, word);
	if (t.kind == 'p') v = v ? ~0u : 0;
	return fixed(b, v, t.size);
}

void address(Scope &s, Body &b, const std::string &word, Op &o) {
	std::string in = trimmed(word.substr(1, word.size() - 2));
	size_t plus = in.find_first_of("+-", 1);
	if (plus != std::string::npos) o.offset = strtoll(in.c_str() + plus + (in[plus] == '+'), nullptr, 0), in = trimmed(in.substr(0, plus));
	o.a = place_of(s, b, in, {'u', 8});
}

// declare reads .reg, .local, .param and .pragma within a body.
static void declare(Scope &s, Body &b, const std::string &line) {
	auto w = split(line, " \t\n,");
	if (w[0] == ".reg") {
		Type t = type_of(w[1].substr(1));
		for (size_t i = 2; i < w.size(); i++) s.declared[w[i].substr(0, w[i].find('<') == std::string::npos ? w[i].size() : w[i].find('<') + 1)] = t;
	} else if (w[0] == ".local") {
		size_t open = w.back().find('[');
		b.local = b.local + 15 & ~15u;
		s.locals[w.back().substr(0, open)] = b.local;
		b.local += strtoul(w.back().c_str() + open + 1, nullptr, 10);
	} else if (w[0] == ".shared") {
		variable(s.text, line);
	} else if (w[0] == ".param") {
		s.params[w.back()] = s.places[w.back()] = room_for(b, type_of(w[1].substr(1)).size, false);
	} else if (w[0] != ".pragma" && w[0] != ".loc") {
		failed(s.text, line);
	}
}

// operands cuts at commas; words in braces belong together, and so does what is in brackets.
static std::vector<std::vector<std::string>> operands(const std::string &s) {
	std::vector<std::vector<std::string>> out;
	std::string word;
	bool inside = false;
	auto end = [&] {
		if (word = trimmed(word); word.empty()) return;
		if (inside && !out.empty()) out.back().push_back(word);
		else out.push_back({word});
		word.clear();
	};
	for (char c : s) {
		if (c == '{') out.push_back({}), inside = true;
		else if (c == '}') end(), inside = false;
		else if (c == ',') end();
		else if (c != '(' && c != ')') word += c;
	}
	end();
	return out;
}

static void copy(Body &b, Type t, Place to, Place from, const std::string &line, Op like) {
	Op &o = like;
	o.run = mover(t), o.turn = Turn::Plain, o.to = t, o.d = to, o.a = o.b = o.c = from, o.line = (u32)b.lines.size();
	b.lines.push_back(line), b.code.push_back(o);
}

// call has a function's body stand where it is called.
static bool call(Scope &s, Body &b, const Source &x, const std::string &line) {
	auto f = s.text.functions.find(x.operands.size() > 1 ? x.operands[1][0] : "");
	if (f == s.text.functions.end() || x.operands.size() != f->second.params.size() + 2) return false;
	Scope in = {&s, s.text};
	in.function = true;
	Type t = {'f', 4};
	in.params[f->second.result] = place_of(s, b, x.operands[0][0], t);
	for (size_t i = 0; i < f->second.params.size(); i++) {
		Place p = in.params[f->second.params[i]] = room_for(b, 4, false);
		copy(b, t, p, place_of(s, b, x.operands[i + 2][0], t), line, {});
	}
	read_body(in, b, f->second.body);
	for (u32 i : in.ends) b.code[i].target = (u32)b.code.size();
	return true;
}

// parameter reads or writes one of a function that is called.
static bool parameter(Scope &s, Body &b, const Source &x, const Op &o, const std::string &line) {
	if (x.name.size() < 3 || x.name[1] != "param" || x.operands.size() != 2) return false;
	bool load = x.name[0] == "ld";
	std::string word = x.operands[load][0];
	word = word.substr(1, word.find_first_of("+]") - 1);
	for (Scope *in = &s; in; in = in->outer)
		if (auto p = in->params.find(word); p != in->params.end()) {
			Type t = type_of(x.name.back());
			Place other = place_of(s, b, x.operands[!load][0], t);
			return copy(b, t, load ? other : p->second, load ? p->second : other, line, o), true;
		}
	return false;
}

// waits says of an instruction whether it waits for other threads, or for copies: by the setting drop=1 the first of
// these in each kernel does so, and yet nobody may count on it, which tests should notice as a race.
static bool waits(const Source &x) {
	const std::string &n = x.name[0];
	return n == "bar" || (n == "cp" && x.has("wait_group"));
}

static void instruction(Scope &s, Body &b, std::string line) {
	std::string whole = line;
	Op o;
	if (line[0] == '@') {
		o.guarded = true, o.unless = line[1] == '!';
		size_t end = line.find_first_of(space);
		o.guard = place_of(s, b, line.substr(1 + o.unless, end - 1 - o.unless), {'p', 4}).at;
		line = trimmed(line.substr(end));
	}
	size_t end = line.find_first_of(" \t\n{");
	Source x;
	for (std::string name = line.substr(0, end); !name.empty();) {
		size_t dot = name.find('.');
		x.name.push_back(name.substr(0, dot));
		name = dot == std::string::npos ? "" : name.substr(dot + 1);
	}
	if (end != std::string::npos) x.operands = operands(line.substr(end));
	if (x.name[0] == "call") return call(s, b, x, whole) ? void() : failed(s.text, whole);
	if (parameter(s, b, x, o, whole)) return;
	o.line = (u32)b.lines.size();
	b.lines.push_back(whole);
	u32 at = (u32)b.code.size();
	if (x.name[0] == "bra" && x.operands.size() == 1) {
		o.turn = Turn::Branch;
		s.jumps.push_back({at, x.operands[0][0]});
	} else if (x.name[0] == "ret" || x.name[0] == "exit") {
		Scope *in = &s;
		while (in->outer && !in->function) in = in->outer;
		o.turn = in->outer ? Turn::Branch : Turn::Exit;
		if (in->outer) in->ends.push_back(at);
	} else if (!translate(s, b, x, o)) {
		return failed(s.text, whole);
	}
	if (waits(x) && ++b.waits == setting("drop")) {
		fprintf(stderr, "emulator: dropped of %s: %s\n", b.name.c_str(), whole.c_str());
		o.unseen = true;
	}
	b.code.push_back(std::move(o));
}

// read_body reads what stands between the braces of a function.
void read_body(Scope &s, Body &b, const std::string &text) {
	for (size_t at = 0; (at = text.find_first_not_of(space, at)) != std::string::npos;) {
		if (text[at] == '{') { // names of its own
			size_t end = text.find('}', at); // of inline assembly, or of a vector in it
			for (size_t open = text.find('{', at + 1); open < end; open = text.find('{', open + 1)) end = text.find('}', end + 1);
			Scope in = {&s, s.text};
			read_body(in, b, text.substr(at + 1, end - at - 1));
			at = end + 1;
			continue;
		}
		size_t end = text.find_first_of(";:", at);
		while (end != std::string::npos && text[end] == ':' && text[end + 1] == ':') end = text.find_first_of(";:", end + 2); // shared::cta
		if (end == std::string::npos) return failed(s.text, text.substr(at, 60));
		std::string line = trimmed(text.substr(at, end - at));
		at = end + 1;
		if (text[end] == ':') s.labels[line] = (u32)b.code.size();
		else if (line[0] == '.') declare(s, b, line);
		else if (!line.empty()) instruction(s, b, line);
	}
	for (auto &[from, label] : s.jumps) {
		Scope *in = &s;
		while (in && !in->labels.count(label)) in = in->outer;
		if (!in) failed(s.text, label);
		else b.code[from].target = in->labels[label];
	}
}

} // namespace emulator
