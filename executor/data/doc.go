// Package data turns files of text into batches of token ids for training.
//
// A source (sources) reads the rows of a file, a format (formats) makes documents of a row, an encoder makes ids of
// documents, and a way to fill rows (arrangements) makes batches of ids. Each of the three is a table, so that another
// kind is a file and a line. Everything streams: memory does not grow with the files. The ids are encoded once into a
// token file that is mapped into memory.
//
// A batch depends on the data, the options (with their seed) and its number, and on nothing else: not on threads, not
// on time. A Position says where a Loader stands; from it another Loader goes on with the same batches, bit for bit.
//
// Non-goals: training a tokenizer; images and audio; reading over the network; changing the text (filters, removal of
// duplicates).
package data
