"""What torchvision makes of pictures, for executor/transform.

Writes transforms/expected.npz: in.N are pictures, out.CASE.N what the transform of cases.json makes of them, and
transforms/cases.json, whose cases are chains as recipes have them.
"""

import json
import pathlib
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import numpy as np
from PIL import Image
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F

OUT = pathlib.Path(__file__).parent / "transforms"


def pictures():
    g = np.random.default_rng(5)
    for w, h in [(23, 17), (12, 31), (16, 16)]:
        y, x = np.mgrid[:h, :w]
        base = np.stack([x * 255 // w, y * 255 // h, (x + y) * 255 // (w + h)], -1)
        yield Image.fromarray(np.clip(base + g.integers(-40, 40, (h, w, 3)), 0, 255).astype(np.uint8))


CASES = {
    "resize": ([{"name": "resize", "size": 10}], lambda m: F.resize(m, 10)),
    "resize_up": ([{"name": "resize", "size": 29, "filter": "bicubic"}], lambda m: F.resize(m, 29, InterpolationMode.BICUBIC)),
    "resize_exact": ([{"name": "resize", "width": 9, "height": 14}], lambda m: F.resize(m, [14, 9])),
    "resize_flat": ([{"name": "resize", "width": 11, "height": 7, "filter": "lanczos"}], lambda m: F.resize(m, [7, 11], InterpolationMode.LANCZOS)),
    "resize_cubic": ([{"name": "resize", "width": 12, "height": 9, "filter": "bicubic"}], lambda m: F.resize(m, [9, 12], InterpolationMode.BICUBIC)),
    "middle": ([{"name": "center_crop", "size": 11}], lambda m: F.center_crop(m, 11)),
    "middle_over": ([{"name": "center_crop", "width": 27, "height": 14}], lambda m: F.center_crop(m, [14, 27])),
    "evaluation": ([{"name": "resize", "size": 13}, {"name": "center_crop", "size": 12}], lambda m: F.center_crop(F.resize(m, 13), 12)),
    "flip": ([{"name": "flip", "p": 1}], F.horizontal_flip),
    "vertical_flip": ([{"name": "vertical_flip", "p": 1}], F.vertical_flip),
    "greyscale": ([{"name": "greyscale", "p": 1}], lambda m: v2.RandomGrayscale(1)(m)),
}
ANGLES = [13.7, -41.25, 90, 180, 270, 0, 359.5]


def main():
    OUT.mkdir(exist_ok=True)
    values, cases = {}, {}
    for i, m in enumerate(pictures()):
        values[f"in.{i}"] = np.asarray(m)
        for name, (chain, make) in CASES.items():
            cases[name] = chain
            values[f"out.{name}.{i}"] = np.asarray(make(m))
        for j, angle in enumerate(ANGLES):
            for mode in ("nearest", "bilinear"):
                values[f"rotate.{mode}.{j}.{i}"] = np.asarray(F.rotate(m, angle, InterpolationMode(mode)))
    np.savez_compressed(OUT / "expected.npz", **values)
    (OUT / "cases.json").write_text(json.dumps({"cases": cases, "angles": ANGLES}, indent=1) + "\n")


main()
