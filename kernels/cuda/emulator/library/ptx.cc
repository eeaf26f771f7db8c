// Kernels that are only text: those that the backend writes itself. Their PTX is
// read and done instruction by instruction, with the functions that it calls.
// What is not known here fails when the module is loaded.
#include "ptx.h"

#include <cstdlib>
#include <cstring>
#include <sstream>

namespace emulator {

namespace {

std::vector<std::string> split(const std::string &s, const char *by) {
	std::vector<std::string> out;
	for (size_t at = 0; at < s.size();) {
		size_t first = s.find_first_not_of(by, at);
		if (first == std::string::npos) break;
		size_t end = s.find_first_of(by, first);
		if (end == std::string::npos) end = s.size();
		out.push_back(s.substr(first, end - first));
		at = end;
	}
	return out;
}

const std::map<std::string, Kind> kinds = {{"pred", Kind::Pred}, {"b16", Kind::U16}, {"u16", Kind::U16}, {"f16", Kind::F16}, {"bf16", Kind::BF16}, {"b32", Kind::U32}, {"u32", Kind::U32}, {"s32", Kind::S32},
	{"b64", Kind::U64}, {"u64", Kind::U64}, {"s64", Kind::S64}, {"f32", Kind::F32}, {"f64", Kind::F64}};

} // namespace

// failed keeps the first line that is not understood.
static bool failed(Text &t, const std::string &line) {
	if (t.error.empty()) t.error = "emulated: not known: " + line;
	return false;
}

u32 Body::reg(const std::string &name) {
	auto i = names.find(name);
	return i != names.end() ? i->second : names[name] = registers++;
}

// operand reads a register, a number, an address, or what stands for one.
static Operand operand(Text &t, Body &c, std::string s) {
	Operand o;
	if (s[0] == '[') {
		s = s.substr(1, s.size() - 2);
		size_t plus = s.find('+');
		if (plus != std::string::npos) o.offset = strtoll(s.c_str() + plus + 1, nullptr, 10), s = s.substr(0, plus);
		o.address = true;
	}
	static const std::vector<std::string> special = {"%tid.x", "%ntid.x", "%ctaid.x", "%nctaid.x"};
	for (size_t i = 0; i < special.size(); i++)
		if (s == special[i]) return o.is = Operand::Special, o.value = i, o;
	if (s == c.entry_param) return o.is = Operand::Entry, o;
	if (auto g = t.globals.find(s); g != t.globals.end()) return o.is = Operand::Number, o.value = (u64)g->second.data(), o;
	if (auto l = c.locals.find(s); l != c.locals.end()) return o.is = Operand::Local, o.value = l->second, o;
	if (s[0] == '%' || c.params.count(s)) return o.is = Operand::Register, o.value = c.reg(s), o;
	o.is = Operand::Number;
	if (s.substr(0, 2) == "0f" || s.substr(0, 2) == "0d")
		o.value = strtoull(s.c_str() + 2, nullptr, 16);
	else
		o.value = (u64)strtoll(s.c_str(), nullptr, 0);
	return o;
}

// declare reads .reg, .local and .param within a body.
static void declare(Text &t, Body &c, const std::string &line) {
	auto w = split(line, " \t\n,");
	if (w[0] == ".local") {
		size_t open = w.back().find('[');
		c.locals[w.back().substr(0, open)] = c.local_bytes;
		c.local_bytes += (strtoull(w.back().c_str() + open + 1, nullptr, 10) + 15) & ~15ull;
	} else if (w[0] == ".param") {
		c.params.insert(w.back());
	} else if (w[0] != ".reg" && w[0] != ".pragma") {
		failed(t, line);
	}
}

// instruction reads one, with its guard.
static void instruction(Text &t, Body &c, std::string line) {
	Instruction x;
	size_t at = line.find_first_not_of(" \t\n");
	line = line.substr(at);
	if (line[0] == '@') {
		bool no = line[1] == '!';
		size_t end = line.find_first_of(" \t");
		x.guard = (int)c.reg(line.substr(no ? 2 : 1, end - (no ? 2 : 1)));
		x.unless = no;
		line = line.substr(line.find_first_not_of(" \t", end));
	}
	size_t end = line.find_first_of(" \t");
	auto word = split(line.substr(0, end), ".");
	std::string rest = end == std::string::npos ? "" : line.substr(end);
	x.op = word[0], x.text = line;
	for (size_t i = 1; i < word.size(); i++) {
		auto k = kinds.find(word[i]);
		if (k != kinds.end())
			x.from = k->second, x.kinds++ ? void() : void(x.to = k->second);
		else if (word[i] == "v2" || word[i] == "v4")
			x.lanes = word[i][1] - '0';
		else
			x.how += "." + word[i];
	}
	if (x.op == "bra") {
		x.label = split(rest, " \t")[0];
	} else if (x.op == "call") {
		auto w = split(rest, " \t,()");
		x.label = w[1];
		x.operands.push_back(operand(t, c, w[0]));
		for (size_t i = 2; i < w.size(); i++) x.operands.push_back(operand(t, c, w[i]));
	} else {
		for (auto &w : split(rest, " \t,{}")) x.operands.push_back(operand(t, c, w));
	}
	if (!prepare(x)) failed(t, line);
	c.body.push_back(std::move(x));
}

// body reads what stands between the braces of a function.
static void body(Text &t, Body &c, const std::string &text) {
	for (size_t at = 0; at < text.size();) {
		size_t first = text.find_first_not_of(" \t\n", at);
		if (first == std::string::npos) break;
		size_t end = text.find_first_of(";:", first);
		if (end == std::string::npos) break;
		std::string line = text.substr(first, end - first);
		at = end + 1;
		if (text[end] == ':')
			c.labels[line] = c.body.size();
		else if (line[0] == '.')
			declare(t, c, line);
		else
			instruction(t, c, line);
	}
	for (auto &x : c.body)
		if (x.run == Run::Bra) {
			if (!c.labels.count(x.label)) failed(t, x.text);
			x.target = c.labels[x.label];
		}
}

// global reads an array of bytes.
static void global(Text &t, const std::string &line) {
	size_t open = line.find('['), name = line.find_last_of(" \t", open);
	std::vector<u8> data(strtoull(line.c_str() + open + 1, nullptr, 10));
	size_t i = 0;
	for (auto &w : split(line.substr(line.find('{')), " {},;")) if (i < data.size()) data[i++] = (u8)atoi(w.c_str());
	t.globals[line.substr(name + 1, open - name - 1)] = data;
}

Text *read_text(const std::string &image) {
	std::string clean, line;
	auto t = new Text;
	for (std::istringstream in(image); std::getline(in, line);) {
		clean += line.substr(0, line.find("//")) + "\n";
		if (line.substr(0, 8) == ".global ") global(*t, line);
	}
	for (size_t at = 0;;) {
		size_t func = clean.find(".visible .", at);
		if (func == std::string::npos) return t;
		size_t open = clean.find("\n{", func), end = clean.find("\n}", open);
		auto head = split(clean.substr(func, open - func), " \t\n(),");
		Body &c = t->codes[head[1] == ".entry" ? head[2] : head[5]]; // .visible .func .param .b32 result name
		if (head[1] == ".entry") {
			std::string p = head.back();
			c.entry_param = p.substr(0, p.find('['));
			c.bytes = strtoull(p.c_str() + p.find('[') + 1, nullptr, 10);
		}
		return_names(c, head);
		body(*t, c, clean.substr(open + 2, end - open - 2));
		at = end;
	}
}

// return_names finds the result and the parameters of a function.
void return_names(Body &c, const std::vector<std::string> &head) {
	if (!c.entry_param.empty()) return;
	c.params.insert(head[4]), c.inputs.push_back(c.reg(head[4]));
	for (size_t i = 8; i < head.size(); i += 3) c.params.insert(head[i]), c.inputs.push_back(c.reg(head[i]));
}

} // namespace emulator
