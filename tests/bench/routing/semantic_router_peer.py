"""The peer: semantic-router's own router over the same vectors and questions.

Reads a folder with `peer.json` ({"dimensions", "utterances": [route, ...],
"questions": [route, ...]}) and `utterances.f32`, `questions.f32` (little-endian
rows in the same order); prints {"accuracy", "p50_us", "p99_us"}.

The encoder hands out the given vectors, so that what is timed is the router beside
its encoder. It is called as in an asynchronous program, its fastest way: a
synchronous call crosses two threads more.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import numpy as np
from semantic_router import IndexedRouter, Route
from semantic_router.encoders import DenseEncoder

KNOWN: dict[str, list[float]] = {}


class Given(DenseEncoder):
    """Vectors by the text that stands for them."""

    name: str = "given"

    def __call__(self, docs):
        return [KNOWN[doc] for doc in docs]

    async def acall(self, docs):
        return self(docs)


def rows(folder: Path, name: str, dimensions: int) -> np.ndarray:
    return np.fromfile(folder / f"{name}.f32", dtype="<f4").reshape(-1, dimensions)


async def ask(router: IndexedRouter, questions: list[str], labels: list[str]) -> dict:
    await router.acall("q0")
    right, times = 0, []
    for text, label in zip(questions, labels):
        began = time.perf_counter()
        choice = await router.acall(text)
        times.append(time.perf_counter() - began)
        right += choice.name == label
    times = np.array(times) * 1e6
    return {
        "accuracy": right / len(labels),
        "p50_us": float(np.quantile(times, 0.5)),
        "p99_us": float(np.quantile(times, 0.99)),
    }


def main() -> None:
    folder = Path(sys.argv[1])
    given = json.loads((folder / "peer.json").read_text())
    routes: dict[str, list[str]] = {}
    utterances = rows(folder, "utterances", given["dimensions"])
    for number, (route, vector) in enumerate(zip(given["utterances"], utterances)):
        text = f"u{number}"
        KNOWN[text] = vector.tolist()
        routes.setdefault(route, []).append(text)
    questions = rows(folder, "questions", given["dimensions"])
    texts = [f"q{number}" for number in range(len(questions))]
    KNOWN.update(zip(texts, questions.tolist()))
    router = IndexedRouter(
        encoder=Given(),
        routes=[Route(name=name, utterances=texts) for name, texts in routes.items()],
    )
    print(json.dumps(asyncio.run(ask(router, texts, given["questions"]))))


main()
