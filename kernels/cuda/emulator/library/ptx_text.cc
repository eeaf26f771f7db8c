// Reading PTX: kernels, functions that they call, and variables.
#include "ptx_scope.h"

#include <cstdlib>
#include <cstring>

namespace emulator {

const char *const space = " \t\n\r";

std::string trimmed(const std::string &s) {
	size_t a = s.find_first_not_of(space), b = s.find_last_not_of(space);
	return a == std::string::npos ? "" : s.substr(a, b - a + 1);
}

std::vector<std::string> split(const std::string &s, const char *by) {
	std::vector<std::string> out;
	for (size_t at = 0;;) {
		size_t first = s.find_first_not_of(by, at);
		if (first == std::string::npos) return out;
		size_t end = s.find_first_of(by, first);
		if (end == std::string::npos) end = s.size();
		out.push_back(s.substr(first, end - first));
		at = end;
	}
}

void failed(Text &t, const std::string &line) {
	if (t.error.empty()) t.error = "emulated: not known: " + line;
}

static std::string without_comments(const std::string &image) {
	std::string out;
	for (size_t at = 0; at < image.size();) {
		size_t end = image.find('\n', at), note = image.find("//", at);
		if (end == std::string::npos) end = image.size();
		out.append(image, at, (note < end ? note : end) - at);
		out += '\n', at = end + 1;
	}
	return out;
}

bool Text::holds(u64 p, u64 n) const {
	for (auto &[name, v] : variables)
		if (p >= (u64)v.data.data() && p + n <= (u64)v.data.data() + v.data.size()) return true;
	return false;
}

// kernel reads a head, as ".visible .entry name( .param .align 8 .b8 p[24] ) .maxntid 256, 1, 1", and the body.
static void kernel(Text &t, const std::string &head, const std::string &text) {
	auto w = split(head, " \t\n\r(),");
	std::unique_ptr<Body> b(new Body);
	Scope s = {nullptr, t};
	b->text = &t;
	for (size_t i = 0; i + 1 < w.size(); i++) {
		if (w[i] == ".entry") b->name = w[i + 1];
		if (w[i] == ".maxntid") b->most_threads = atoi(w[i + 1].c_str()) * (i + 3 < w.size() ? atoi(w[i + 2].c_str()) * atoi(w[i + 3].c_str()) : 1);
	}
	for (auto &p : w)
		if (size_t open = p.find('['); open != std::string::npos) s.entry = p.substr(0, open), b->bytes = strtoull(p.c_str() + open + 1, nullptr, 10);
	read_body(s, *b, text);
	b->local = b->local + 15 & ~15u;
	Op end;
	end.turn = Turn::Exit, end.line = (u32)b->lines.size(), b->lines.push_back("the end");
	b->code.push_back(end);
	t.kernels[b->name] = std::move(b);
}

// function reads ".visible .func (.param .b32 result) name( .param .b32 a, .param .b32 b )".
static void function(Text &t, const std::string &head, const std::string &text) {
	auto w = split(head, " \t\n\r(),");
	std::vector<std::string> names;
	for (auto &p : w)
		if (p[0] != '.') names.push_back(p);
	if (names.size() < 2) return failed(t, head);
	t.functions[names[1]] = {names[0], text, {names.begin() + 2, names.end()}};
}

// variable reads ".shared .align 4 .b8 name[64]", ".global .align 4 .b8 name[32] = {110, 131, …}".
void variable(Text &t, const std::string &line) {
	Variable v;
	size_t is = line.find('=');
	auto w = split(line.substr(0, is), " \t\n\r");
	u32 size = 1, count = 1;
	for (size_t i = 0; i < w.size(); i++) {
		if (w[i] == ".shared") v.space = Space::Shared;
		if (w[i] == ".extern") v.dynamic = true;
		if (w[i] == ".align") v.align = atoi(w[i + 1].c_str());
		if (Type type = type_of(w[i].substr(1)); w[i][0] == '.' && type.size) size = type.size;
	}
	std::string name = w.back();
	if (size_t open = name.find('['); open != std::string::npos) count = atoi(name.c_str() + open + 1), name = name.substr(0, open);
	v.bytes = size * count;
	v.align = std::max(v.align, size);
	if (v.space == Space::Global) v.data.resize(v.bytes);
	if (is != std::string::npos) {
		size_t i = 0;
		for (auto &number : split(line.substr(is + 1), " \t\n\r{},")) {
			u64 n = number[0] == '0' && number.size() > 1 && strchr("fd", number[1]) ? strtoull(number.c_str() + 2, nullptr, 16) : strtoull(number.c_str(), nullptr, 0);
			if (i + size <= v.data.size()) memcpy(&v.data[i], &n, size), i += size;
		}
	}
	t.variables[name] = std::move(v);
}

static void read_all(Text &t, const std::string &text) {
	for (size_t at = 0; (at = text.find_first_not_of(space, at)) != std::string::npos;) {
		size_t line = text.find('\n', at);
		std::string first = text.substr(at, text.find_first_of(space, at) - at);
		if (first == ".version" || first == ".target" || first == ".address_size") {
			at = line;
			continue;
		}
		size_t end = text.find_first_of("{;=", at);
		if (end != std::string::npos && text[end] == '=') end = text.find(';', end);
		if (end == std::string::npos) return failed(t, text.substr(at, 60));
		std::string head = trimmed(text.substr(at, end - at));
		at = end + 1;
		if (text[end] == ';') {
			if (head.find(".func") == std::string::npos) variable(t, head);
			continue;
		}
		size_t close = end;
		for (int deep = 0; close < text.size(); close++)
			if (text[close] == '{') deep++;
			else if (text[close] == '}' && --deep == 0) break;
		std::string body = text.substr(end + 1, close - end - 1);
		at = close + 1;
		head.find(".entry") != std::string::npos ? kernel(t, head, body) : function(t, head, body);
	}
}

const Text *read_text(const std::string &image) {
	static std::map<std::string, std::unique_ptr<Text>> known;
	auto &t = known[image];
	if (!t) t.reset(new Text), read_all(*t, without_comments(image));
	return t.get();
}

} // namespace emulator
