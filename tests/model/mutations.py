"""Damage to model folders, of every kind that files can suffer or an attacker can think of; each from a number alone."""

import json
import os
import pickle
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

OPTIONAL = {"README.md", "reports.json", "conditioning.json", "calibration.json"}  # a model without them is still whole
HOSTILE = (
    10**9, 10**30, -1, 0, 1.5, 1e308, "x", "", "\0", True, None, [], {}, [8] * 1_000_000, [10**9] * 3, "a" * 3_000_000, {"a": {"b": []}},
    "../../x", float("nan"), float("inf"),
)  # fmt: skip


@dataclass(frozen=True)
class Mutation:
    """What was done to one file. `fatal`: the folder must be refused."""

    file: str
    kind: str
    fatal: bool


def mutate(folder: Path, seed: int) -> Mutation:
    """Damage one file or part of a model folder."""
    rng = np.random.default_rng(seed)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    path = files[int(rng.integers(len(files)))]
    own = {".safetensors": _TENSORS, ".json": _JSON}.get(path.suffix, {})
    kinds = {**_ANY, **own, **own}
    kind = sorted(kinds)[int(rng.integers(len(kinds)))]
    fatal = kinds[kind](path, rng)
    name = path.relative_to(folder).as_posix()
    return Mutation(name, kind, bool(fatal) and not (path.name in OPTIONAL and not os.path.lexists(path)))


def _replaced(make):
    def apply(path, rng):
        path.unlink()
        make(path)
        return True

    return apply


def _rewritten(change, fatal):
    def apply(path, rng):
        before = path.read_bytes()
        after = change(before, rng)
        path.write_bytes(after)
        return fatal and after != before

    return apply


def _flipped(content, rng, first=None):
    at = int(rng.integers(min(len(content), first or len(content))))
    return content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :]


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(50 * 2**30)


def _swapped(path, rng):
    others = sorted(p for p in path.parent.parent.rglob("*") if p.is_file() and p != path and p.read_bytes() != path.read_bytes())
    other = others[int(rng.integers(len(others)))]
    path.write_bytes(other.read_bytes())
    return False


_ANY = {
    "delete": _replaced(lambda path: None),
    "pipe": _replaced(os.mkfifo),
    "folder": _replaced(Path.mkdir),
    "circle of links": _replaced(lambda path: path.symlink_to(path.name)),
    "dangling link": _replaced(lambda path: path.symlink_to("nowhere")),
    "device": _replaced(lambda path: path.symlink_to("/dev/zero")),
    "sparse file of 50 GB": _replaced(_sparse),
    "empty": _rewritten(lambda content, rng: b"", fatal=False),
    "truncated": _rewritten(lambda content, rng: content[: int(rng.integers(len(content)))], fatal=False),
    "random bytes": _rewritten(lambda content, rng: rng.bytes(len(content)), fatal=False),
    "byte flipped": _rewritten(_flipped, fatal=False),
    "byte flipped near the start": _rewritten(lambda content, rng: _flipped(content, rng, 300), fatal=False),
    "longer": _rewritten(lambda content, rng: content + b"more", fatal=False),
    "pickle": _rewritten(lambda content, rng: pickle.dumps({"a": [1, 2]}), fatal=False),
    "another file of the model": _swapped,
}


def _with_key(path, key, value):
    record = json.loads(path.read_text())
    record[key] = value
    path.write_text(json.dumps(record))


def _hostile_value(path, rng):
    record = json.loads(path.read_text())
    key = sorted(record)[int(rng.integers(len(record)))]
    _with_key(path, key, HOSTILE[int(rng.integers(len(HOSTILE)))])
    return False


def _lost_key(path, rng):
    record = json.loads(path.read_text())
    del record[sorted(record)[int(rng.integers(len(record)))]]
    path.write_text(json.dumps(record))
    return False


def _code(path, rng):
    """Code of the model's own, which writes a file where it is run."""
    program = f"open({str(path.parent / 'canary')!r}, 'w').write('run')\nclass Config: pass\n"
    (path.parent / "canary_code.py").write_text(program)
    names = dict.fromkeys(("AutoConfig", "AutoModel"), "canary_code.Config")
    _with_key(path, "auto_map", names | {"AutoTokenizer": [None, "canary_code.Config"]})
    return path.name in ("config.json", "scheduler_config.json")


def _nested(path, rng):
    path.write_text('{"a":' + "[" * 200_000 + "]" * 200_000 + "}")
    return path.name not in OPTIONAL


def _twice(path, rng):
    record = path.read_text().strip()
    path.write_text(record[:-1] + ', "role": 1, "role": 2}')
    return path.name not in OPTIONAL


_JSON = {
    "hostile value": _hostile_value,
    "another hostile value": _hostile_value,
    "a third hostile value": _hostile_value,
    "lost key": _lost_key,
    "code": _code,
    "deep nesting": _nested,
    "a key twice": _twice,
    "not UTF-8": _rewritten(lambda content, rng: content.replace(b'"', b'"\xff', 1), fatal=False),
    "10 MB of spaces": _rewritten(lambda content, rng: content + b" " * 10_000_000, fatal=False),
}


def _changed_tensor(change, fatal=True):
    def apply(path, rng):
        weights = load_file(path)
        name = sorted(weights)[int(rng.integers(len(weights)))]
        change(weights, name)
        save_file(weights, path)
        return fatal

    return apply


def _nan(weights, name):
    weights[name].view(-1)[-1] = float("nan")


def _inf(weights, name):
    weights[name].view(-1)[0] = float("inf")


def _header(make):
    def apply(path, rng):
        content = path.read_bytes()
        size = struct.unpack("<Q", content[:8])[0]
        header = json.loads(content[8 : 8 + size])
        text = make(header)
        path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + size :])
        return True

    return apply


def _with_shape(header, shape, dtype="F32"):
    name = next(name for name in header if name != "__metadata__")
    header[name] |= {"shape": shape, "dtype": dtype}
    return json.dumps(header).encode()


def _million(header):
    entry = next(value for name, value in header.items() if name != "__metadata__")
    return json.dumps(header | {f"t{i}": entry for i in range(300_000)}).encode()


_TENSORS = {
    "renamed": _changed_tensor(lambda weights, name: weights.update({name + "x": weights.pop(name)})),
    "dropped": _changed_tensor(lambda weights, name: weights.pop(name)),
    "added": _changed_tensor(lambda weights, name: weights.update(extra=torch.zeros(3))),
    "another shape": _changed_tensor(lambda weights, name: weights.update({name: weights[name][None].clone()})),
    "whole numbers": _changed_tensor(lambda weights, name: weights.update({name: weights[name].int()})),
    "float64": _changed_tensor(lambda weights, name: weights.update({name: weights[name].double()}), fatal=False),
    "NaN": _changed_tensor(_nan),
    "infinity": _changed_tensor(_inf),
    "absurd length": _rewritten(lambda content, rng: b"\xff" * 7 + b"\x7f" + content[8:], fatal=True),
    "header of 1 GB": _rewritten(lambda content, rng: struct.pack("<Q", 2**30) + content[8:], fatal=True),
    "absurd shape": _header(lambda header: _with_shape(header, [10**18, 10**18])),
    "negative shape": _header(lambda header: _with_shape(header, [-1])),
    "shape of a million sides": _header(lambda header: _with_shape(header, [1] * 1_000_000)),
    "unknown kind of number": _header(lambda header: _with_shape(header, [1], "Q8")),
    "300,000 tensors": _header(_million),
    "header that is no JSON": _header(lambda header: b"{" * 100_000),
}
