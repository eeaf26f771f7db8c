# Two commands do everything on a fresh machine with Go and make:
#   make run    the main job: a language model continues a text
#   make test   every check there is

MODEL ?= models/tiny-llama
PROMPT ?= 37+58=
STOP ?= ["."]
MAX_TOKENS ?= 16
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: run test test-arm64 lint build generate bench fuzz compare-train compare-cpu compare-diffusion compare-llama compare-tokenizers compare-onnx compare-gguf compare-audio compare-cuda compare-cuda-small check-cuda check-cuda-small check-cuda-bundle check-cuda-tests test-cuda-checked profile-cuda test-gorgonia emulator forecast kernels ptxas

run: build
	@test -d $(MODEL) || { echo "no model at $(MODEL): name a folder with MODEL=..." >&2; exit 1; }
	./pipe run pipelines/complete.cue --set model='$(MODEL)' --set prompt='$(PROMPT)' --set max_tokens=$(MAX_TOKENS) --set stop='$(STOP)' --set temperature=0

build:
	CGO_ENABLED=0 go build -o pipe ./cmd/pipe

test:
	go vet ./...
	go test ./...
	PIPE_EMULATOR=ptx=1,backward=1 go test ./kernels/cuda -skip '^TestPTX$$' -most 2
	PIPE_EMULATOR=ptx=1 go test ./cmd/pipe -run 'TestScript/cuda|Test.*CUDA'

lint:
	go run $(STATICCHECK) ./...
	GOARCH=arm64 go vet ./...

# The kernels on arm64, emulated by qemu-user, in an hour at most.
test-arm64:
	GOARCH=arm64 go test -short -timeout 60m -exec qemu-aarch64-static $$(go list ./kernels/... ./internal/... | grep -v kernels/cuda)

# generate writes what derives from the tables of ops and stages, and the assembly.
generate:
	go generate ./...

# The PTX of the CUDA kernels, by clang-19; and whether NVIDIA's assembler takes it (of the package nvidia-cuda-nvcc, or a toolkit).
PTXAS ?= ptxas
kernels:
	go test ./kernels/cuda -count=1 -run '^TestPTX$$' -update
	go test ./kernels/cuda/emit -count=1 -run '^TestTexts$$' -update
ptxas:
	for arch in sm_80 sm_90a; do for f in kernels/cuda/ptx/*.ptx kernels/cuda/emit/testdata/*.ptx; do \
		case $$arch$$f in sm_80*wgmma*) continue;; esac; $(PTXAS) -arch=$$arch -o /dev/null $$f || exit 1; done; done

# The emulator of a GPU, as the libcuda.so.1 and libcublasLt.so.13 of a folder, for LD_LIBRARY_PATH.
EMULATOR ?= $(CURDIR)/dist/emulator
emulator:
	go test ./kernels/cuda -count=1 -run '^TestKeep$$' -keep $(EMULATOR)

# What memory would have to do for the kernels of large cases of the op table, counted in the emulator: make profile-cuda CASES='^conv2d/'
CASES ?= .
profile-cuda:
	go test ./kernels/cuda -count=1 -timeout 2h -v -run '^TestProfile$$' -profile '$(CASES)'

# The CUDA kernels with checks that g++ adds: beyond arrays, and at addresses that are no multiples of what is read there.
test-cuda-checked:
	PIPE_EMULATOR_FLAGS='-fsanitize=alignment,bounds,object-size,shift-exponent -fsanitize-undefined-trap-on-error' \
		PIPE_EMULATOR=backward=1,guard=1 go test ./kernels/cuda -count=1 -skip '^TestPTX$$'

# The driver by gorgonia.org/cu, in the emulator: needs cgo, and the headers of CUDA 12 (the package nvidia-cuda-runtime-cu12 has them).
CUDA_INCLUDE ?= /usr/local/cuda/include
test-gorgonia: export CGO_ENABLED = 1
test-gorgonia: export CGO_CFLAGS = -I$(CUDA_INCLUDE)
test-gorgonia: export CGO_LDFLAGS = -L$(EMULATOR) -Wl,--unresolved-symbols=ignore-all
test-gorgonia: export LD_LIBRARY_PATH = $(EMULATOR)
test-gorgonia: emulator
	go vet -tags gorgonia ./kernels/cuda/... ./cmd/pipe
	go test -tags gorgonia ./kernels/cuda/driver
	go test -tags gorgonia ./kernels/cuda -device -run 'TestKernels|TestTilesAlike|TestChainBits|TestIndexOutOfRange'

# What a GPU computes, beside the CPU, in one table within five minutes; where there is no Go, the bundle is unpacked in the tree, and
# testdata/device/check.sh dist/check runs. The small one tries the script in the emulator.
check-cuda-tests:
	mkdir -p dist/check
	CGO_ENABLED=0 go test -c -ldflags '-s -w' -o dist/check/cuda.test ./kernels/cuda
	CGO_ENABLED=0 go test -c -ldflags '-s -w' -o dist/check/pipe.test ./cmd/pipe
check-cuda: check-cuda-tests
	testdata/device/check.sh dist/check
check-cuda-small: check-cuda-tests test-gorgonia emulator
	LD_LIBRARY_PATH=$(EMULATOR) testdata/device/check.sh dist/check small
check-cuda-bundle: check-cuda-tests
	tar czf dist/check-cuda.tar.gz dist/check/cuda.test dist/check/pipe.test

# Kernels beside what this machine can do at most, and the benchmarks of the
# packages other than the kernels' large cases, which are the same.
bench: build
	./pipe bench kernels
	go test -run '^$$' -bench . -skip '^BenchmarkKernels$$' -benchmem ./...

# Kernels of AVX-512 on processors that are not at hand, reckoned by LLVM 19 (llvm-mca): cycles a turn of their loops, and a byte.
.PHONY: cycles
cycles:
	go test -c -o asm.test ./kernels/cpu/asm
	$(PYTHON) benchmarks/cycles.py asm.test RowTimesRowsQ8_0Z=544 RowTimesRowsQ4_0Z=288 RowTimesRowsQ4_1Z=320 \
		RowTimesRowsQ4KZ=2304 RowTimesRowsQ5KZ=2816 RowTimesRowsQ6KZ=3360
	rm asm.test

fuzz:
	for p in $$(go list ./...); do for f in $$(go test -list '^Fuzz' $$p | grep '^Fuzz'); do \
		go test -run '^$$' -fuzz "^$$f$$" -fuzzminimizetime 10x -fuzztime 20s $$p || exit 1; done; done

# Beside PyTorch, in turns; needs a Python with benchmarks/requirements.txt.
PYTHON ?= python3
TEXT ?= ../shared/data/train/tinyshakespeare.txt
compare-train: build
	$(PYTHON) benchmarks/compare_train.py $(TEXT)
	$(PYTHON) benchmarks/compare_train.py $(TEXT) --model wide

# Kernels and decoding beside OpenBLAS, PyTorch and ONNX Runtime, in turns; the table goes into docs/benchmarks.md.
ROUNDS ?= 5
compare-cpu: build
	$(PYTHON) benchmarks/compare_cpu.py --rounds $(ROUNDS) --write docs/benchmarks.md

# A step of Stable Diffusion's U-Net beside PyTorch and ONNX Runtime, in turns; needs testdata/golden/requirements.txt, and 9 GB
# under ~/.cache for the model. SCALE=half and quarter have less channels; SCALE=decoder is the autoencoder's, of a picture.
SCALE ?= full
compare-diffusion: build
	$(PYTHON) benchmarks/compare_diffusion.py --scale $(SCALE) --rounds $(ROUNDS) --write docs/benchmarks.md

# Language models in GGUF files beside llama.cpp, in turns; MODELS is a folder for them, 2.5 GB.
MODELS ?= $(HOME)/.cache/pipe/compare-llama
compare-llama: build
	$(PYTHON) benchmarks/compare_llama.py --models $(MODELS) --rounds $(ROUNDS) --write docs/benchmarks.md

# Tokenizers beside the libraries whose files they read: random texts must give
# the same ids, places and text (COUNT of them), and then speed, in turns.
DATA ?= ../shared/data
COUNT ?= 100000
compare-tokenizers: build
	$(PYTHON) benchmarks/compare_tokenizers.py ./pipe $(DATA) --count $(COUNT)
	go test -c -o tokenizer.test ./executor/tokenizer
	$(PYTHON) benchmarks/speed_tokenizers.py ./tokenizer.test $(abspath $(DATA)) $(ROUNDS)

# What ONNX Runtime computes from files of pipe convert, beside pipe and transformers; needs
# testdata/golden/requirements.txt.
compare-onnx: build
	rm -rf onnx-cases && mkdir onnx-cases
	go test -count=1 -run '^TestExportCases$$' ./executor/onnx -cases $(CURDIR)/onnx-cases
	$(PYTHON) benchmarks/compare_onnx.py --ops onnx-cases
	rm -r onnx-cases

# GGUF files that pipe writes, and folders that it makes of them, beside the gguf package, transformers and,
# where llama-cpp-python is installed, llama.cpp; needs testdata/golden/requirements.txt.
compare-gguf: build
	$(PYTHON) benchmarks/compare_gguf.py --data $(DATA)

# Spectrograms beside librosa, torch and transformers, and a vocoder beside ONNX Runtime, in turns; needs testdata/golden/requirements.txt.
compare-audio: build
	$(PYTHON) benchmarks/compare_audio.py --rounds $(ROUNDS) --write docs/benchmarks.md

# On a GPU beside PyTorch, in turns, in 10 minutes; the table goes into docs/benchmarks.md. Needs transformers, and diffusers for the
# U-Net. The small one tries the script in the emulator, with PyTorch on the CPU.
compare-cuda: build
	$(PYTHON) benchmarks/compare_cuda.py --write docs/benchmarks.md
compare-cuda-small: build emulator
	$(PYTHON) benchmarks/compare_cuda.py --emulator $(EMULATOR)

# What pipe plan predicts of the time of a recipe's steps, beside what they take.
RECIPE ?= recipes/shakespeare-char.cue
forecast: build
	$(PYTHON) benchmarks/forecast.py $(RECIPE) $(foreach s,$(SET),--set '$(s)')
