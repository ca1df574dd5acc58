"""Paint prescribed myocardial scars into real short-axis LGE MRI slices, keep what an independent reader confirms.

>>> from lgesynthnet import LGESynthNet, prescribe
>>> painter = LGESynthNet.from_pretrained("phantom")
>>> sample = painter.inpaint(host, prescribe("Transmural enhancement in the posteroseptal wall"), seed=7)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lgesynthnet.conditioning.sample import Host
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.generate.inpainter import LGESynthNet
    from lgesynthnet.prescription.grammar.language import prescribe
    from lgesynthnet.prescription.scar import ScarPrescription

__version__ = "0.1.0"
__all__ = ["Host", "LGESynthNet", "ScarPrescription", "__version__", "open_cohort", "prescribe"]

# Loaded on first use: LGESynthNet brings torch and diffusers, which cost seconds.
_HOME = {
    "Host": "lgesynthnet.conditioning.sample",
    "LGESynthNet": "lgesynthnet.generate.inpainter",
    "ScarPrescription": "lgesynthnet.prescription.scar",
    "open_cohort": "lgesynthnet.data.cohort",
    "prescribe": "lgesynthnet.prescription.grammar.language",
}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module 'lgesynthnet' has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
