// A libcublasLt for tests, in the same file as the libcuda: descriptors hold what
// they are told, and a product is done as they say, by columns, in the order of the
// stream. What the real library refuses is refused: attributes of another size,
// leading dimensions that are too short, a bias without a pointer, addresses that are
// not aligned as was promised, an algorithm that was chosen for other descriptors,
// memory that is not the device's.
//
// Sums go from the last product to the first, so that results have other bits than
// those of the kernels.
#include "queue.h"

#include <cmath>
#include <cstring>
#include <map>

namespace emulator {

enum Status { Okay = 0, NotInitialized = 1, InvalidValue = 7, ExecutionFailed = 13, NotSupported = 15 };

static bool is_type(int t) { return t == 0 || t == 2 || t == 14; } // f32, f16, bf16
static u64 bytes_of(int t) { return t == 0 ? 4 : 2; }

static float value(u64 at, int type, u64 i) {
	if (type == 0) return ((float *)at)[i];
	u16 h = ((u16 *)at)[i];
	if (type == 14) return __builtin_bit_cast(float, (u32)h << 16);
	return (float)__builtin_bit_cast(_Float16, h);
}

static void keep(u64 at, int type, u64 i, float v) {
	u32 b = __builtin_bit_cast(u32, v);
	if (type == 0) ((float *)at)[i] = v;
	else if (type == 2) ((u16 *)at)[i] = __builtin_bit_cast(u16, (_Float16)v);
	else ((u16 *)at)[i] = std::isnan(v) ? 0x7fff : (b + 0x7fff + (b >> 16 & 1)) >> 16;
}

struct Desc {
	int compute, scale, trans_a = 0, trans_b = 0, epilogue = 1;
	u64 bias = 0;
	bool operator==(const Desc &) const = default;
};

struct Layout {
	int type;
	u64 rows, columns;
	i64 lead;
	int batch = 1;
	i64 offset = 0;
	u64 bytes() const { return bytes_of(type) * ((batch - 1) * offset + (columns - 1) * lead + rows); }
	bool operator==(const Layout &) const = default;
	bool good() const { return is_type(type) && rows > 0 && columns > 0 && lead >= (i64)rows && batch > 0; }
};

struct Preference {
	u64 workspace = 0;
	u32 reduction = 7, align[4] = {256, 256, 256, 256};
};

struct Product {
	Desc d;
	Layout a, b, c;
	bool operator==(const Product &) const = default;
	u64 deep() const { return d.trans_a ? a.rows : a.columns; }
	// good says whether sizes and types fit together.
	bool good() const {
		u64 rows = d.trans_a ? a.columns : a.rows, columns = d.trans_b ? b.rows : b.columns, other = d.trans_b ? b.columns : b.rows;
		return a.good() && b.good() && c.good() && rows == c.rows && columns == c.columns && deep() == other && a.type == b.type && (c.type == a.type || c.type == 0) &&
			a.batch == c.batch && b.batch == c.batch && (d.epilogue & ~6) <= 1 && (!(d.epilogue & 4) || d.bias) &&
			(d.compute == (a.type == 0 ? 69 : 68) || d.compute == 77 && a.type == 0) && d.scale == 0;
	}
};

// A chosen algorithm: what it was chosen for.
struct Algorithm {
	u64 number;
	u32 align[4];
	u64 rest[5];
};

struct Result {
	Algorithm algorithm;
	u64 workspace;
	int state;
	float waves;
	int reserved[4];
};

static std::map<u64, Product> chosen;
static const u64 used_workspace = 1 << 20;

// rounded is a number as a product has it: f32 in tf32, where that is asked for.
static float rounded(const Product &p, float v) {
	u32 u = __builtin_bit_cast(u32, v);
	if (p.d.compute != 77 || (u & 0x7f800000) == 0x7f800000) return v;
	return __builtin_bit_cast(float, (u + 0x1000) & 0xffffe000);
}

static void multiply(const Product &p, float alpha, u64 a, u64 b, float beta, u64 c, u64 y) {
	for (int z = 0; z < p.c.batch; z++)
		for (u64 j = 0; j < p.c.columns; j++)
			for (u64 i = 0; i < p.c.rows; i++) {
				float sum = 0;
				for (u64 l = p.deep(); l-- > 0;)
					sum = __builtin_fmaf(rounded(p, value(a, p.a.type, z * p.a.offset + (p.d.trans_a ? i * p.a.lead + l : l * p.a.lead + i))),
						rounded(p, value(b, p.b.type, z * p.b.offset + (p.d.trans_b ? l * p.b.lead + j : j * p.b.lead + l))), sum);
				sum *= alpha;
				if (beta != 0) sum += beta * value(c, p.c.type, z * p.c.offset + j * p.c.lead + i);
				if (p.d.epilogue & 4) sum += value(p.d.bias, p.c.type, i);
				if (p.d.epilogue & 2) sum = sum > 0 ? sum : 0;
				keep(y, p.c.type, z * p.c.offset + j * p.c.lead + i, sum);
			}
}

template <class T> static int take(T &to, const void *from, u64 n) {
	if (n != sizeof to) return InvalidValue;
	memcpy(&to, from, n);
	return Okay;
}

} // namespace emulator

using namespace emulator;

extern "C" {

u64 cublasLtGetVersion() { return 130401; }

const char *cublasLtGetStatusName(int s) {
	static const std::map<int, const char *> names = {{0, "CUBLAS_STATUS_SUCCESS"}, {1, "CUBLAS_STATUS_NOT_INITIALIZED"}, {7, "CUBLAS_STATUS_INVALID_VALUE"}, {13, "CUBLAS_STATUS_EXECUTION_FAILED"}, {15, "CUBLAS_STATUS_NOT_SUPPORTED"}};
	auto i = names.find(s);
	return i == names.end() ? "unknown" : i->second;
}

int cublasLtCreate(void **h) {
	Guard guard;
	return entered() ? (*h = (void *)&chosen, Okay) : NotInitialized;
}

int cublasLtDestroy(void *h) {
	Guard guard;
	return h == (void *)&chosen && entered() ? Okay : NotInitialized;
}

int cublasLtMatmulDescCreate(Desc **d, int compute, int scale) { return *d = new Desc{compute, scale}, Okay; }
int cublasLtMatmulDescDestroy(Desc *d) { return delete d, Okay; }

int cublasLtMatmulDescSetAttribute(Desc *d, int what, const void *from, u64 n) {
	return what == 3 ? take(d->trans_a, from, n) : what == 4 ? take(d->trans_b, from, n) : what == 7 ? take(d->epilogue, from, n) : what == 8 ? take(d->bias, from, n) : InvalidValue;
}

int cublasLtMatrixLayoutCreate(Layout **l, int type, u64 rows, u64 columns, i64 lead) { return *l = new Layout{type, rows, columns, lead}, Okay; }
int cublasLtMatrixLayoutDestroy(Layout *l) { return delete l, Okay; }
int cublasLtMatrixLayoutSetAttribute(Layout *l, int what, const void *from, u64 n) { return what == 5 ? take(l->batch, from, n) : what == 6 ? take(l->offset, from, n) : InvalidValue; }

int cublasLtMatmulPreferenceCreate(Preference **p) { return *p = new Preference, Okay; }
int cublasLtMatmulPreferenceDestroy(Preference *p) { return delete p, Okay; }

int cublasLtMatmulPreferenceSetAttribute(Preference *p, int what, const void *from, u64 n) {
	return what == 1 ? take(p->workspace, from, n) : what == 3 ? take(p->reduction, from, n) : what >= 5 && what < 9 ? take(p->align[what - 5], from, n) : InvalidValue;
}

// Sums of parts in another type or order are what a caller has to forbid.
int cublasLtMatmulAlgoGetHeuristic(void *h, Desc *d, Layout *a, Layout *b, Layout *c, Layout *y, Preference *p, int most, Result *to, int *n) {
	Guard guard;
	if (h != (void *)&chosen || !entered()) return NotInitialized;
	Product x = {*d, *a, *b, *y};
	if (most < 1 || c != y || p->reduction != 2 || !x.good()) return InvalidValue;
	if (setting("cublas_none") || p->workspace < used_workspace) return *n = 0, NotSupported;
	u64 number = chosen.size() + 1;
	chosen[number] = x;
	*to = Result{{number}, used_workspace};
	memcpy(to->algorithm.align, p->align, sizeof p->align);
	return *n = 1, Okay;
}

int cublasLtMatmul(void *h, Desc *d, const float *alpha, u64 a, Layout *la, u64 b, Layout *lb, const float *beta, u64 c, Layout *lc, u64 y, Layout *ly, const Algorithm *algorithm, u64 workspace, u64 size, void *stream) {
	Guard guard;
	if (h != (void *)&chosen || !entered()) return NotInitialized;
	auto i = chosen.find(algorithm->number);
	Product x = {*d, *la, *lb, *ly};
	if (i == chosen.end() || !(i->second == x) || lc != ly || size < used_workspace) return InvalidValue;
	u64 at[4] = {a, b, c, y};
	if (c != y && *beta == 0) return InvalidValue;
	for (int k = 0; k < 4; k++)
		if (at[k] % algorithm->align[k]) return InvalidValue;
	if (!reachable(a, x.a.bytes()) || !reachable(b, x.b.bytes()) || !reachable(c, x.c.bytes()) || !reachable(y, x.c.bytes()) || !reachable(workspace, used_workspace)) return ExecutionFailed;
	if (x.d.epilogue & 4 && !reachable(x.d.bias, bytes_of(x.c.type) * x.c.rows)) return ExecutionFailed;
	count("products");
	float by = *alpha, more = *beta;
	return enqueue(stream, [=] {
		memset((void *)workspace, 0xee, used_workspace);
		multiply(x, by, a, b, more, c, y);
		return 0;
	}) ? ExecutionFailed : Okay;
}
}
