"""Paint prescribed myocardial scars into real short-axis LGE MRI slices, and keep what an independent filter confirms.

>>> from lgesynthnet import LGESynthNet, prescribe
>>> generator = LGESynthNet.from_pretrained("phantom")
>>> sample = generator.inpaint(host, prescribe("Transmural enhancement in the posteroseptal wall"), seed=7)
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as that of `typing`, which is not imported: the program handles no signal until this module is there

if TYPE_CHECKING:
    from lgesynthnet.conditioning.heart import HeartHost, StackSample
    from lgesynthnet.conditioning.sample import Host, SyntheticSample
    from lgesynthnet.data.cohort import open_cohort
    from lgesynthnet.data.source import CohortSource
    from lgesynthnet.downstream.request import DownstreamRequest
    from lgesynthnet.downstream.training import train_downstream
    from lgesynthnet.errors import LGESynthNetError
    from lgesynthnet.evaluate.request import EvaluationRequest
    from lgesynthnet.evaluate.run import evaluate_alignment, evaluate_realism
    from lgesynthnet.export.dicom.exporting import export_dicom
    from lgesynthnet.export.origin import add_origin_channel
    from lgesynthnet.export.request import DicomRequest, ExportRequest, NnunetRequest
    from lgesynthnet.export.run import export_nifti, export_nnunet
    from lgesynthnet.generate.inpainter import LGESynthNet
    from lgesynthnet.generate.stacks import paint_stack
    from lgesynthnet.hosts.hearts import find_hearts
    from lgesynthnet.hosts.pool import find_hosts
    from lgesynthnet.phantom.cohort import simulate_patients
    from lgesynthnet.prescription.edits import NoEnhancement, OwnScar
    from lgesynthnet.prescription.fitted_prior import FittedPrior
    from lgesynthnet.prescription.grammar.language import prescribe, prescribe_heart, read_heart_sentence, read_sentence
    from lgesynthnet.prescription.heart import HeartScar
    from lgesynthnet.prescription.rasterize import rasterize
    from lgesynthnet.prescription.scar import ScarPrescription
    from lgesynthnet.prior.fitting import fit_prior
    from lgesynthnet.prior.request import PriorRequest
    from lgesynthnet.quality.stack_verdict import StackVerdict
    from lgesynthnet.quality.verdict import Verdict
    from lgesynthnet.run.folder import RunFolder
    from lgesynthnet.run.request import SynthesisRequest
    from lgesynthnet.segment.drawing import segment_images
    from lgesynthnet.segment.request import SegmentRequest
    from lgesynthnet.segmenter.downstream import DownstreamSegmenter
    from lgesynthnet.synthesis.judging import judge, judge_stack
    from lgesynthnet.synthesis.painters import load_filter
    from lgesynthnet.synthesis.synthesize import synthesize_run
    from lgesynthnet.terms import Edit, Prior, WallFrom
    from lgesynthnet.train.origin import OriginChannel, with_origin

__version__ = "0.1.0"
__all__ = [
    "CohortSource",
    "DicomRequest",
    "DownstreamRequest",
    "DownstreamSegmenter",
    "Edit",
    "EvaluationRequest",
    "ExportRequest",
    "FittedPrior",
    "HeartHost",
    "HeartScar",
    "Host",
    "LGESynthNet",
    "LGESynthNetError",
    "NnunetRequest",
    "NoEnhancement",
    "OriginChannel",
    "OwnScar",
    "Prior",
    "PriorRequest",
    "RunFolder",
    "ScarPrescription",
    "SegmentRequest",
    "StackSample",
    "StackVerdict",
    "SynthesisRequest",
    "SyntheticSample",
    "Verdict",
    "WallFrom",
    "__version__",
    "add_origin_channel",
    "evaluate_alignment",
    "evaluate_realism",
    "export_dicom",
    "export_nifti",
    "export_nnunet",
    "find_hearts",
    "find_hosts",
    "fit_prior",
    "judge",
    "judge_stack",
    "load_filter",
    "open_cohort",
    "paint_stack",
    "prescribe",
    "prescribe_heart",
    "rasterize",
    "read_heart_sentence",
    "read_sentence",
    "segment_images",
    "simulate_patients",
    "synthesize_run",
    "train_downstream",
    "with_origin",
]

# Each name is loaded at its first use: LGESynthNet needs torch and diffusers, which take seconds to import.
_MODULE_OF = {
    "CohortSource": "data.source",
    "DicomRequest": "export.request",
    "DownstreamRequest": "downstream.request",
    "DownstreamSegmenter": "segmenter.downstream",
    "Edit": "terms",
    "EvaluationRequest": "evaluate.request",
    "ExportRequest": "export.request",
    "FittedPrior": "prescription.fitted_prior",
    "HeartHost": "conditioning.heart",
    "HeartScar": "prescription.heart",
    "Host": "conditioning.sample",
    "LGESynthNet": "generate.inpainter",
    "LGESynthNetError": "errors",
    "NnunetRequest": "export.request",
    "NoEnhancement": "prescription.edits",
    "OriginChannel": "train.origin",
    "OwnScar": "prescription.edits",
    "Prior": "terms",
    "PriorRequest": "prior.request",
    "RunFolder": "run.folder",
    "ScarPrescription": "prescription.scar",
    "SegmentRequest": "segment.request",
    "StackSample": "conditioning.heart",
    "StackVerdict": "quality.stack_verdict",
    "SynthesisRequest": "run.request",
    "SyntheticSample": "conditioning.sample",
    "Verdict": "quality.verdict",
    "WallFrom": "terms",
    "add_origin_channel": "export.origin",
    "evaluate_alignment": "evaluate.run",
    "evaluate_realism": "evaluate.run",
    "export_dicom": "export.dicom.exporting",
    "export_nifti": "export.run",
    "export_nnunet": "export.run",
    "find_hearts": "hosts.hearts",
    "find_hosts": "hosts.pool",
    "fit_prior": "prior.fitting",
    "judge": "synthesis.judging",
    "judge_stack": "synthesis.judging",
    "load_filter": "synthesis.painters",
    "open_cohort": "data.cohort",
    "paint_stack": "generate.stacks",
    "prescribe": "prescription.grammar.language",
    "prescribe_heart": "prescription.grammar.language",
    "rasterize": "prescription.rasterize",
    "read_heart_sentence": "prescription.grammar.language",
    "read_sentence": "prescription.grammar.language",
    "segment_images": "segment.drawing",
    "simulate_patients": "phantom.cohort",
    "synthesize_run": "synthesis.synthesize",
    "train_downstream": "downstream.training",
    "with_origin": "train.origin",
}


def __getattr__(name: str) -> object:
    if name in _MODULE_OF:
        return getattr(import_module(f"lgesynthnet.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'lgesynthnet' has no attribute {name!r}; it offers {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
