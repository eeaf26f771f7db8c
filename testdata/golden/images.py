"""Pictures by Pillow and torchvision: files and what they hold, resizing, colours.

    python testdata/golden/images.py

image/files/*          small files of every kind, NAME.EXT
image/expected.npz     files.NAME.EXT: their pixels, upright, in the mode that fits (L, LA, RGB, RGBA; 16 bits as int32)
                       source.MODE: pictures; resize.MODE.FILTER.WxH: them, resized; colour.MODE.KIND.FACTOR: changed colours
                       tensor: a picture as torchvision's ToTensor and Normalize have it
"""

import io
import os
import struct
import zlib

import numpy as np
from PIL import Image, ImageEnhance, ImageOps, PngImagePlugin
from torchvision.transforms import functional as F

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "image")
FILES = os.path.join(HERE, "files")
out = {}


def picture(width, height, channels, seed):
    """Soft colours with edges and some noise."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = []
    for c in range(channels):
        v = 127 + 90 * np.sin(x / (3.0 + c) + c) * np.cos(y / (4.0 + 2 * c)) + rng.normal(0, 12, (height, width))
        v[(x - width / 2) ** 2 + (y - height / 3) ** 2 < (8 + 3 * c) ** 2] += 70
        planes.append(v)
    a = np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8)
    return a[..., 0] if channels == 1 else a


def keep(name, array):
    array = np.asarray(array)
    out[name] = array.astype(np.int32) if array.dtype == np.uint16 else array


def png(name, kind, depth, rows, extra=b"", interlace=0):
    """Writes what Pillow can't: rows are bytes of each scan line, with a filter byte before them."""
    height, width = rows["size"]
    chunk = lambda k, b: struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b))
    head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)
    with open(os.path.join(FILES, name), "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + extra + chunk(b"IDAT", zlib.compress(rows["data"])) + chunk(b"IEND", b""))


def deep(name, kind, array):
    height, width = array.shape[:2]
    lines = b"".join(b"\0" + array[y].astype(">u2").tobytes() for y in range(height))
    png(name, kind, 16, {"size": (height, width), "data": lines})
    keep("files." + name, array)


def interlaced(name, array):
    height, width = array.shape
    data = b""
    for x0, y0, dx, dy in [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]:
        part = array[y0::dy, x0::dx]
        if part.size:
            data += b"".join(b"\0" + line.tobytes() for line in part)
    png(name, 0, 8, {"size": (height, width), "data": data}, interlace=1)
    keep("files." + name, array)


def save(name, image, mode=None, **options):
    path = os.path.join(FILES, name)
    image.save(path, **options)
    with Image.open(path) as back:
        back = ImageOps.exif_transpose(back)
        keep("files." + name, back.convert(mode) if mode else back)


def files():
    rgb = Image.fromarray(picture(37, 29, 3, 1))
    rgba = Image.fromarray(picture(21, 17, 4, 2), "RGBA")
    grey = Image.fromarray(picture(31, 20, 1, 3))
    two = Image.fromarray(picture(19, 15, 4, 4)[..., [0, 3]].copy(), "LA")
    notes = PngImagePlugin.PngInfo()
    notes.add_text("Title", "a picture")
    notes.add_text("Long", "word " * 400, zip=True)
    notes.add_itxt("Autor", "Zoë — größer", lang="de", tkey="Urheber")
    notes.add_itxt("Packed", "größer " * 200, zip=True)
    save("rgb.png", rgb, pnginfo=notes)
    save("rgba.png", rgba)
    save("grey.png", grey)
    save("grey_alpha.png", two)
    save("one_bit.png", grey.convert("1"), "L")
    save("palette.png", rgb.quantize(13), "RGB")
    save("palette_clear.png", rgb.quantize(13), "RGBA", transparency=3)
    interlaced("interlaced.png", picture(19, 13, 1, 5))
    rng = np.random.default_rng(6)
    deep("grey16.png", 0, rng.integers(0, 65536, (7, 9), dtype=np.uint16))
    deep("rgb16.png", 2, rng.integers(0, 65536, (7, 9, 3), dtype=np.uint16))
    deep("rgba16.png", 6, rng.integers(0, 65536, (5, 6, 4), dtype=np.uint16))
    deep("grey_alpha16.png", 4, rng.integers(0, 65536, (5, 6, 2), dtype=np.uint16))

    for name, sub in [("444", 0), ("422", 1), ("420", 2)]:
        save(f"rgb{name}.jpg", rgb, quality=90, subsampling=sub)
    save("progressive.jpg", rgb, quality=80, progressive=True)
    save("grey.jpg", grey, quality=85)
    save("cmyk.jpg", Image.fromarray(picture(24, 16, 4, 7), "CMYK"), "RGB", quality=95)
    small = Image.fromarray(picture(24, 16, 3, 8))
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        save(f"turned{o}.jpg", small, quality=70, subsampling=0, exif=exif)
    exif = Image.Exif()
    exif[0x0112] = 6
    save("turned6.png", small, exif=exif)
    save("turned6.webp", small, exif=exif, lossless=True)

    save("lossless.webp", rgb, lossless=True)
    save("lossless_alpha.webp", rgba, lossless=True, exact=True)
    save("lossy.webp", rgb, quality=70)
    save("lossy_even.webp", Image.fromarray(picture(32, 18, 3, 9)), quality=40)
    save("lossy_alpha.webp", rgba, quality=70)
    frames = [Image.fromarray(picture(20, 14, 3, s)) for s in (10, 11)]
    save("animated.webp", frames[0], "RGB", save_all=True, append_images=frames[1:], duration=50, quality=60)

    save("plain.gif", rgb.quantize(16), "RGB")
    clear = rgba.convert("RGB").quantize(16)
    save("clear.gif", clear, "RGBA", transparency=2)
    save("interlaced.gif", grey, "RGB", interlace=1)
    save("animated.gif", frames[0].quantize(16), "RGB", save_all=True, append_images=[f.quantize(16) for f in frames[1:]], duration=50)


def resized():
    sources = {
        "grey": Image.fromarray(picture(23, 19, 1, 20)),
        "grey_alpha": Image.fromarray(picture(23, 19, 4, 21)[..., [0, 3]].copy(), "LA"),
        "rgb": Image.fromarray(picture(23, 19, 3, 22)),
        "rgba": Image.fromarray(picture(23, 19, 4, 23), "RGBA"),
        "grey16": Image.fromarray(picture(23, 19, 1, 24).astype(np.uint16) * 199 + 5000),
    }
    filters = {"nearest": Image.NEAREST, "box": Image.BOX, "bilinear": Image.BILINEAR, "hamming": Image.HAMMING, "bicubic": Image.BICUBIC, "lanczos": Image.LANCZOS}
    for mode, image in sources.items():
        keep("source." + mode, image)
        for name, f in filters.items():
            for w, h in [(10, 7), (41, 30), (9, 40), (23, 5), (1, 1), (50, 19)]:
                if mode != "rgb" and (w, h) in [(1, 1), (50, 19)]:
                    continue
                keep(f"resize.{mode}.{name}.{w}x{h}", image.resize((w, h), f))
    big = Image.fromarray(picture(640, 427, 1, 25))
    for name in ("bilinear", "bicubic", "lanczos"):
        keep(f"long.{name}", big.resize((97, 61), filters[name]))


def colours():
    rgb = Image.fromarray(picture(23, 19, 3, 22))
    rgba = Image.fromarray(picture(23, 19, 4, 23), "RGBA")
    kinds = {"brightness": F.adjust_brightness, "contrast": F.adjust_contrast, "saturation": F.adjust_saturation}
    for kind, f in kinds.items():
        for factor in (0.0, 0.4, 0.9, 1.7):
            keep(f"colour.rgb.{kind}.{factor}", f(rgb, factor))
            keep(f"colour.rgba.{kind}.{factor}", f(rgba, factor))
    for factor in (-0.5, -0.13, 0.07, 0.5):
        keep(f"colour.rgb.hue.{factor}", F.adjust_hue(rgb, factor))
    keep("grey.rgb", rgb.convert("L"))
    keep("middle", F.center_crop(rgb, [8, 9]))
    t = F.normalize(F.to_tensor(rgb), [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    keep("tensor", t.numpy())


if __name__ == "__main__":
    os.makedirs(FILES, exist_ok=True)
    files()
    resized()
    colours()
    # A fixed date, so that a second run gives the same bytes.
    import zipfile
    with zipfile.ZipFile(os.path.join(HERE, "expected.npz"), "w", zipfile.ZIP_DEFLATED) as z:
        for name, array in out.items():
            b = io.BytesIO()
            np.lib.format.write_array(b, np.ascontiguousarray(array))
            z.writestr(zipfile.ZipInfo(name + ".npy", (1980, 1, 1, 0, 0, 0)), b.getvalue(), zipfile.ZIP_DEFLATED)
