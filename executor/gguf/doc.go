// Package gguf reads and writes files in the format GGUF, versions 2 and 3:
// named metadata and named tensors, many of them quantised in blocks.
//
// It says where tensors lie and what type they have; what quantised blocks
// stand for is in kernels/quant, and what names mean to a model is not known
// here. Whatever a file claims, memory is bounded by its size.
//
// Source: the GGUF specification (ggml-org/ggml, docs/gguf.md).
package gguf
