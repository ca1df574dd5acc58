"""The rivals by name, under the same protocol as LGESynthNet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lgesynthnet.conditioning.sample import Host
from lgesynthnet.errors import ModelError
from lgesynthnet.generate.base import Generator
from lgesynthnet.terms import Rival


def load_rival(
    name: Rival | str, folder: Path | None = None, donors: Sequence[Host] = (), *, keep_host: bool = True, device: str = "cpu"
) -> Generator:
    """Load a rival by name.

    Args:
        folder: for SPADE its own folder, or a model or work folder that contains it; for `template` a model folder or `WORK/control/model`.
        donors: slices with scar of training patients, for copy-paste and `template`; see `hosts.donors.donor_bank`.
        keep_host: with False a network returns the whole working grid as it renders it, as in the publications.
    Raises:
        ModelError: there is no such rival, or its folder is missing or damaged.
        InputError: copy-paste has no donors.
    """
    if name not in list(Rival):
        raise ModelError(f"no rival {name!r}; there are {', '.join(Rival)}")
    rival = Rival(name)
    match rival:
        case Rival.PASTE:
            from lgesynthnet.generate.paste import IntensityPaste

            return IntensityPaste()
        case Rival.COPY_PASTE:
            from lgesynthnet.generate.copy_paste import CopyPaste

            return CopyPaste.from_hosts(donors)
        case Rival.TEMPLATE:
            if folder is None:
                raise ModelError("template: needs the folder that `lgesynthnet train control --template` wrote, WORK/control/model")
            return _templated(folder, donors, keep_host=keep_host, device=device)
        case Rival.SPADE_LIMITED | Rival.SPADE_FULL:
            from lgesynthnet.generate.spade import SpadePainter
            from lgesynthnet.terms import Context

            if folder is None:
                raise ModelError(f"{rival.value}: needs the folder that `lgesynthnet train spade --work` or `pack-parts --out` wrote")
            context = Context.LIMITED if rival is Rival.SPADE_LIMITED else Context.FULL
            return SpadePainter.from_pretrained(folder, context, keep_host=keep_host, device=device)


def _templated(folder: Path, donors: Sequence[Host], *, keep_host: bool, device: str) -> Generator:
    from lgesynthnet.conditioning.condition import make_template
    from lgesynthnet.generate.inpainter import LGESynthNet, Sampling

    templates = [make_template(donor) for donor in donors]
    return LGESynthNet.from_pretrained(folder, device=device, sampling=Sampling(keep_host=keep_host), templates=templates)
