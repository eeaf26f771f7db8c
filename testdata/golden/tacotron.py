"""A tiny random Tacotron 2 of torchaudio: speech/tacotron2, which speaks, and speech/tacotron2_teacher, which is told what to say.

    python -P testdata/golden/tacotron.py

Writes model/model.cue, model/model.safetensors, and values.safetensors as speech.py does. What its prenet drops when it
speaks is given by in.keep.
"""

import pathlib
import shutil

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torchaudio.models import tacotron2

OUT = pathlib.Path(__file__).parent / "speech"
SIZES = dict(n_mels=5, n_symbol=11, n_frames_per_step=2, symbol_embedding_dim=8, encoder_embedding_dim=8, encoder_n_convolution=2,
             encoder_kernel_size=3, attention_rnn_dim=10, attention_hidden_dim=7, attention_location_n_filter=3,
             attention_location_kernel_size=5, decoder_rnn_dim=9, prenet_dim=4, postnet_n_convolution=3, postnet_kernel_size=3,
             postnet_embedding_dim=6)
STEPS, CHARS, ROWS = 9, 7, 2

DOCUMENT = """package model

import "pipe.dev/layers/arch/tacotron2"

model: tacotron2.#Model & {
%s	config: {
%s	}
}
"""


def folder(name, model, teacher):
    at = OUT / name / "model"
    shutil.rmtree(at.parent, ignore_errors=True)
    at.mkdir(parents=True)
    sizes = "".join(f"\t\t{k}: {v}\n" for k, v in SIZES.items())
    (at / "model.cue").write_text(DOCUMENT % ("\tteacher: true\n" if teacher else "", sizes))
    weights = {k: v.float().contiguous() for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_file(weights, at / "model.safetensors")
    return at.parent


def main():
    torch.manual_seed(1)
    model = tacotron2.Tacotron2(**SIZES, decoder_max_step=STEPS, decoder_dropout=0.1, attention_dropout=0.1, gate_threshold=2.0,
                                decoder_early_stopping=False, mask_padding=False)
    with torch.no_grad():
        for name, x in model.state_dict().items():
            if x.is_floating_point():
                x.copy_(torch.rand_like(x) + 0.5 if "running_var" in name else torch.randn_like(x) * 0.4)
    model = model.eval()
    folders = {teacher: folder("tacotron2" + "_teacher" * teacher, model, teacher) for teacher in (False, True)}
    model = model.double()
    tokens = torch.randint(0, SIZES["n_symbol"], (ROWS, CHARS), dtype=torch.int32)
    keep = torch.randint(0, 2, (STEPS, ROWS, 2 * SIZES["prenet_dim"])).double() * 2

    plain, calls = F.dropout, []
    width = SIZES["prenet_dim"]

    def fixed(x, p=0.5, training=True, inplace=False):
        if not training:
            return x
        step, half = divmod(len(calls), 2)
        calls.append(1)
        return x * keep[step, :, half * width:(half + 1) * width]

    tacotron2.F.dropout = fixed
    lengths = torch.full((ROWS,), CHARS, dtype=torch.int32)
    memory = model.encoder(model.embedding(tokens.long()).transpose(1, 2), lengths)
    mel, _, gate, alignments = model.decoder.infer(memory, lengths)
    better = mel + model.postnet(mel)
    assert len(calls) == 2 * STEPS

    def store(at, mel, better, gate, alignments, **inputs):
        turned = lambda x: x.transpose(1, 2)
        out = dict(spectrogram=turned(better), mel=turned(mel), gate=gate)
        if alignments.ndim == 3:  # those of infer are of no shape that means anything
            out["alignments"] = alignments
        values = {f"out.{k}": v.detach().float().contiguous() for k, v in out.items()}
        values |= {f"in.{k}": v.contiguous() if v.dtype == torch.int32 else v.float().contiguous() for k, v in inputs.items()}
        save_file(values, at / "values.safetensors")

    store(folders[False], mel, better, gate, alignments, tokens=tokens, keep=keep)

    tacotron2.F.dropout = lambda x, p=0.5, training=True, inplace=False: x
    frames = torch.randn(ROWS, STEPS * 2, SIZES["n_mels"]).double().transpose(1, 2)
    better, mel, gate, alignments = None, *model.decoder(memory, frames, memory_lengths=lengths)
    better = mel + model.postnet(mel)
    given = frames.transpose(1, 2).reshape(ROWS, STEPS, 2 * SIZES["n_mels"])
    store(folders[True], mel, better, gate, alignments, tokens=tokens, frames=given)
    tacotron2.F.dropout = plain


if __name__ == "__main__":
    main()
