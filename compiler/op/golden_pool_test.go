package op

import (
	"strings"

	"pipe.dev/compiler/ir"
)

// addPoolFormulas adds pooling, interpolation, norms of pictures, and transforms of signals.
func addPoolFormulas(to map[string]formula) {
	direct := func(attr func(f fixture) any, names ...string) {
		for _, name := range names {
			op, _, _ := strings.Cut(name, ":")
			to[strings.ReplaceAll(name, ":", "_")] = func(b *Builder, f fixture, x []ir.Value) []ir.Value { return b.Apply(op, attr(f), x...) }
		}
	}
	direct(func(f fixture) any {
		return MaxPoolAttr{Kernel: f.ints("kernel_size"), Stride: f.ints("stride"), Padding: f.ints("padding"), Dilation: f.ints("dilation"), Ceil: f.is("ceil_mode")}
	}, "max_pool1d", "max_pool2d", "max_pool2d:dilated", "max_pool3d")
	direct(func(f fixture) any {
		_, said := f.attr["count_include_pad"]
		return AvgPoolAttr{Kernel: f.ints("kernel_size"), Stride: f.ints("stride"), Padding: f.ints("padding"), Ceil: f.is("ceil_mode"), CountIncludePad: f.is("count_include_pad") || !said}
	}, "avg_pool1d", "avg_pool2d", "avg_pool2d:inside", "avg_pool3d")
	for _, name := range []string{"adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d"} {
		direct(func(f fixture) any { return AdaptivePoolAttr{Size: f.ints("output_size")} }, name)
	}
	modes := map[string]string{"nearest": "nearest", "nearest-exact": "nearest_exact", "linear": "linear", "bilinear": "linear", "trilinear": "linear", "bicubic": "cubic", "area": "area"}
	direct(func(f fixture) any {
		return InterpolateAttr{Size: f.ints("size"), Scale: f.num("scale_factor", 0), Mode: modes[f.attr["mode"].(string)], AlignCorners: f.is("align_corners"), Antialias: f.is("antialias")}
	}, "interpolate:nearest", "interpolate:nearest_scale", "interpolate:nearest_exact", "interpolate:linear", "interpolate:bilinear", "interpolate:bilinear_corners",
		"interpolate:bilinear_smooth", "interpolate:trilinear", "interpolate:bicubic", "interpolate:bicubic_scale", "interpolate:bicubic_corners", "interpolate:bicubic_smooth", "interpolate:area")
	direct(func(f fixture) any {
		return GroupNormAttr{Groups: int(f.num("num_groups", 0)), Eps: f.num("eps", 0), Affine: f.types["x1"].DType != ir.Invalid}
	}, "group_norm", "group_norm:plain")
	direct(func(f fixture) any {
		return InstanceNormAttr{Eps: f.num("eps", 0), Affine: f.types["x1"].DType != ir.Invalid}
	}, "instance_norm", "instance_norm:affine")
	transform := func(f fixture) StftAttr {
		return StftAttr{NFFT: int(f.num("n_fft", 0)), Hop: int(f.num("hop_length", 0)), Width: int(f.num("win_length", 0)), Window: f.attr["window"].(string),
			Periodic: f.is("periodic"), Center: f.is("center"), Pad: "reflect", Normalized: f.is("normalized")}
	}
	to["stft"] = func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		parts := b.Apply("stft", transform(f), x...)
		for i, p := range parts {
			parts[i] = b.Reshape(p, append([]ir.Dim{ir.D(1)}, p.Type().Shape...)...)
		}
		return []ir.Value{b.Concat(0, parts...)}
	}
	to["stft_inside"] = to["stft"]
	direct(func(f fixture) any {
		a := transform(f)
		return SpectrogramAttr{a.NFFT, a.Hop, a.Width, a.Window, a.Periodic, a.Center, a.Pad, a.Normalized, int(f.num("power", 0))}
	}, "spectrogram", "spectrogram:magnitude")
	direct(func(f fixture) any {
		a := transform(f)
		return IstftAttr{a.NFFT, a.Hop, a.Width, a.Window, a.Periodic, a.Center, a.Normalized, int(f.num("length", 0))}
	}, "istft", "istft:length", "istft:whole")
	to["batch_norm"] = func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		fill := func(v float64) ir.Value { return b.Fill(v, ir.F32, ir.D(1)) }
		mean := b.Concat(0, fill(0.5), fill(-1), fill(2))
		variance := b.Concat(0, fill(0.25), fill(2), fill(1.5))
		return b.Apply("batch_norm", BatchNormAttr{Eps: f.num("eps", 0), Affine: true}, append(x, mean, variance)...)
	}
	to["batch_norm_train"] = func(b *Builder, f fixture, x []ir.Value) []ir.Value {
		fill := func(v float64) ir.Value { return b.Fill(v, ir.F32, ir.D(1)) }
		mean, variance := b.Concat(0, fill(0.5), fill(-1), fill(2)), b.Concat(0, fill(0.25), fill(2), fill(1.5))
		out := b.Apply("batch_norm_train", BatchNormAttr{Eps: f.num("eps", 0), Momentum: f.num("momentum", 0), Affine: true}, append(x, mean, variance)...)
		return []ir.Value{b.Concat(0, b.Reshape(out[0], out[0].Type().Len()), b.Detach(out[1]), b.Detach(out[2]))}
	}
	windows := func(f fixture) UnfoldAttr {
		return UnfoldAttr{Kernel: f.ints("kernel_size"), Stride: f.ints("stride"), Padding: f.ints("padding"), Dilation: f.ints("dilation")}
	}
	direct(func(f fixture) any { return windows(f) }, "unfold")
	direct(func(f fixture) any {
		w := windows(f)
		return FoldAttr{Dims(f.ints("output_size")), w.Kernel, w.Stride, w.Padding, w.Dilation}
	}, "fold")
	direct(func(f fixture) any { return PixelShuffleAttr{Factor: int(f.num("factor", 0))} }, "pixel_shuffle", "pixel_unshuffle")
}
