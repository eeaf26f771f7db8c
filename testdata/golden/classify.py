"""How pictures are prepared, and what classifiers make of them, by transformers.

Writes classify/NAME.json: preprocessor_config.json as a processor saves it ("prepare"), or
in the words of older files ("older"), the model of pictures/ that reads what it gives, and for each of some pictures the
classes with their probabilities; and classify/tall.png, which is higher than it is wide.
"""

import json
import pathlib
import sys

sys.path[:] = [p for p in sys.path if pathlib.Path(p).resolve() != pathlib.Path(__file__).parent.resolve()]  # scripts beside this one have the names of packages

import torch
from PIL import Image
from transformers import AutoModelForImageClassification
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.convnext.image_processing_pil_convnext import ConvNextImageProcessorPil
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

HERE = pathlib.Path(__file__).parent
FILES = ["image/files/lossless.webp", "classify/tall.png", "image/files/grey.png"]


def case(name, model, processor, older):
    m = AutoModelForImageClassification.from_pretrained(HERE / "pictures" / model / "model", dtype=torch.float32).eval()
    pictures = [Image.open(HERE / f).convert("RGB") for f in FILES]
    with torch.no_grad():
        shares = m(**processor(pictures, return_tensors="pt")).logits.softmax(-1)
    classes = [sorted(({"label": m.config.id2label[i], "score": v} for i, v in enumerate(row)), key=lambda c: -c["score"]) for row in shares.tolist()]
    prepare = json.loads(processor.to_json_string())
    print(name, prepare, classes)
    (HERE / "classify" / f"{name}.json").write_text(json.dumps({"model": model, "prepare": prepare, "older": older, "files": FILES, "classes": classes}, indent=1) + "\n")


if __name__ == "__main__":
    (HERE / "classify").mkdir(exist_ok=True)
    Image.open(HERE / "image/files/lossless.webp").convert("RGB").transpose(Image.Transpose.ROTATE_90).save(HERE / "classify/tall.png")
    case("vit", "vit_classes", ViTImageProcessorPil(size={"height": 12, "width": 12}), {"size": 12, "image_mean": [0.5] * 3, "image_std": [0.5] * 3, "resample": 2})
    clip = CLIPImageProcessorPil(size={"shortest_edge": 15}, crop_size={"height": 12, "width": 12})
    case("clip", "vit_classes", clip, {"size": 15, "crop_size": 12, "image_mean": clip.image_mean, "image_std": clip.image_std, "resample": 3})
    resnet = ConvNextImageProcessorPil(size={"shortest_edge": 32}, crop_pct=0.85)
    case("resnet", "resnet_classes", resnet, {"size": 32, "crop_pct": 0.85, "image_mean": resnet.image_mean, "image_std": resnet.image_std, "resample": 3})
