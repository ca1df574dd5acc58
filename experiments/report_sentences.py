"""Count how the grammar reads realistic report sentences: read, refused or misread; and time it.

    python experiments/report_sentences.py [--table tests/prescription/grammar/report_sentences.csv] [--list]

The table holds, for each sentence, the prescription that a reader of reports would write, or why the sentence must be refused. A
sentence is misread where it is read as another prescription, or read although it must be refused.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.language import prescribe
from lgesynthnet.prescription.scar import ScarPrescription

TABLE = Path(__file__).parents[1] / "tests" / "prescription" / "grammar" / "report_sentences.csv"
OUTCOMES = ("read", "refused wrongly", "refused rightly", "misread")


def outcome(row: dict[str, str]) -> tuple[str, str]:
    """What became of a sentence, and the prescription or the refusal.

    Args:
        row: the columns of the table. `refused_because` is empty where the sentence can be read; `transmurality` is a number or a range.
    """
    must_be_refused = bool(row["refused_because"])
    try:
        prescription = prescribe(row["sentence"])
    except PrescriptionError as refusal:
        return ("refused rightly" if must_be_refused else "refused wrongly"), str(refusal)
    return ("read" if not must_be_refused and _is_meant(prescription, row) else "misread"), prescription.to_json()


def _is_meant(prescription: ScarPrescription, row: dict[str, str]) -> bool:
    low, _, high = row["transmurality"].partition("-")
    return (
        prescription.segments == set(map(int, row["segments"].split()))
        and prescription.pattern == row["pattern"]
        and float(low) <= prescription.transmurality <= float(high or low)
        and prescription.mvo_share == float(row["mvo_share"])
        and prescription.arc is None
    )


def count(path: Path) -> dict[str, Counter[str]]:
    """How often each outcome occurs in each set of sentences of a table."""
    counts: dict[str, Counter[str]] = {}
    for row in read(path):
        counts.setdefault(row["set"], Counter())[outcome(row)[0]] += 1
    return counts


def read(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def table(counts: dict[str, Counter[str]]) -> str:
    """The counts as a Markdown table."""
    lines = ["| set | sentences | " + " | ".join(OUTCOMES) + " |", "|---|---|" + "---|" * len(OUTCOMES)]
    total: Counter[str] = sum(counts.values(), Counter())
    for name, counter in (*counts.items(), ("all", total)):
        lines.append(f"| {name} | {counter.total()} | " + " | ".join(str(counter[key]) for key in OUTCOMES) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", type=Path, default=TABLE, help="CSV table of sentences")
    parser.add_argument("--list", action="store_true", help="also print each sentence that was misread or refused wrongly")
    options = parser.parse_args()
    if options.list:
        for row in read(options.table):
            name, explanation = outcome(row)
            if name in ("misread", "refused wrongly"):
                print(f"{name}: {row['sentence']}\n    {explanation}")
    print(table(count(options.table)))
    sentences = [row["sentence"] for row in read(options.table) if not row["refused_because"]]
    began = time.process_time()
    for sentence in sentences * 10:
        with suppress(PrescriptionError):
            prescribe(sentence)
    print(f"{(time.process_time() - began) / len(sentences) * 100:.2f} ms of one core a sentence")


if __name__ == "__main__":
    main()
