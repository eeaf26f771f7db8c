// What reading a body and reading a text share.
#pragma once
#include "ptx.h"

namespace emulator {

// Scope is names as a function, or braces in it, know them.
struct Scope {
	Scope *outer;
	Text &text;
	std::map<std::string, Type> declared; // registers, also of a row as %r<9>, by what stands before the number
	std::map<std::string, Place> places;
	std::map<std::string, u32> locals; // of .local, where they begin
	std::map<std::string, Place> params; // of a function, or for one that is called
	bool function = false;               // that is called
	std::map<std::string, u32> labels;
	std::vector<std::pair<u32, std::string>> jumps; // that look for a label
	std::vector<u32> ends;               // jumps to the end of a function that is called
	std::string entry;                   // the name of the kernel's parameter
};

extern const char *const space; // what stands between words
std::string trimmed(const std::string &s);
std::vector<std::string> split(const std::string &s, const char *by);

// failed keeps the first line that is not known.
void failed(Text &t, const std::string &line);

// read_body reads what stands between the braces of a function, variable a line that declares one.
void read_body(Scope &s, Body &b, const std::string &text);
void variable(Text &t, const std::string &line);

} // namespace emulator
