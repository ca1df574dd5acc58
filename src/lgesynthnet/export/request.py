"""The request of `export`. Its fields are the options of the command line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import option
from lgesynthnet.terms import Classes, Dimension, LabelKind

FOLDS = "Training and validation patients"


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """Which cases to export.

    Attributes:
        run: a run; or a folder of patients, which are then exported without samples.
        data: folder of the real patients; None means the folder of the hosts.
        all_samples: also export the samples that the filter rejected.
        dimension: what a case is; None takes stacks for a run of stacks, else slices.

    Raises:
        RunError: --data and --no-real are both given.
    """

    run: Path = option(help="Run folder that `synthesize --out` wrote; or a folder of patients, without samples.", flags=("RUN",))
    data: CohortSource | None = option(
        None, help="Folder of the real patients to export too.", flags=("--data",), default_text="the folder of the hosts"
    )
    no_real: bool = option(False, help="Leave the real patients out.", flags=("--no-real",))
    label: LabelKind = option(
        LabelKind.INTENDED, help="Scar label of a synthetic case: the scar that was prescribed, or the scar that the filter read."
    )
    dimension: Dimension | None = option(
        None,
        help="Each case is one slice (2), or the whole stack of a heart (3).",
        default_text="3 for a run of stacks, else 2",
    )
    keep_names: bool = option(
        False,
        help="Keep the names of the patients. Otherwise pseudonyms stand for them, and pseudonyms.csv in the run folder resolves these.",
        flags=("--keep-names",),
    )
    all_samples: bool = option(False, help="Export every painted sample, or only those that the filter kept.", flags=("--all/--kept",))

    def __post_init__(self) -> None:
        if self.no_real and self.data is not None:
            raise RunError("--data names real patients, but --no-real leaves them out; give only one of the two")


@dataclass(frozen=True, kw_only=True)
class DicomRequest:
    """Which samples to export as DICOM, and what their files say of the patient.

    Attributes:
        hosts: folder of the hosts now; None takes the folder that the run named.
        all_samples: also export the samples that the filter rejected.
        keep_identity: file each sample under the patient and the study of its host.
        keep_private: keep the private attributes of the hosts' files.
    """

    run: Path = option(help="Run folder that `synthesize --out` wrote.", flags=("RUN",))
    hosts: Path | None = option(None, help="Folder of the hosts, if it has moved.", default_text="the folder that the run named")
    label: LabelKind = option(
        LabelKind.INTENDED, help="Scar of the segmentation: the scar that was prescribed, or the scar that the filter read."
    )
    all_samples: bool = option(False, help="Export every painted sample, or only those that the filter kept.", flags=("--all/--kept",))
    keep_identity: bool = option(
        False,
        help="Keep name, ID and study of the patient, for use where the hosts came from. Otherwise a pseudonym stands for the patient.",
        flags=("--keep-identity",),
    )
    keep_private: bool = option(
        False, help="Keep the private attributes of the hosts' files, which may hold names.", flags=("--keep-private",)
    )


@dataclass(frozen=True, kw_only=True)
class NnunetRequest(ExportRequest):
    """Which nnU-Net data set to export. Give `splits` or `folds`; without both there are five folds.

    Attributes:
        out: folder in which DatasetXXX_NAME is created.
        dataset_id: 1 to 999.
        splits: JSON file with the patients of each part; train and val make one fold.
        folds: number of patient-level folds, drawn with `seed`.
        synthetic_share: share of synthetic cases in the training list of a fold, 0 to 1; None lists every sample once.
        most_per_host: largest number of samples of one patient; None takes 3 for stacks, and sets no limit for slices.
        origin_channel: whether each case gets a second channel that tells painted from real cases.

    Raises:
        RunError: two options exclude each other.
    """

    out: Path = option(help="The nnUNet_raw folder of nnU-Net. DatasetXXX_NAME is created in it.", flags=("OUT",))
    dataset_id: int = option(help="Number of the data set, 1 to 999.")
    name: str = option("LGESynthNet", help="Name of the data set, which follows the number in the folder name.")
    classes: Classes = option(
        Classes.ALL,
        help="One class for each label (all), nested regions in which the wall includes the scar (regions), or scar against all the rest "
        "(scar).",
    )
    origin_channel: bool = option(
        False,
        help="Add a second input channel: 1 in painted cases, 0 in real ones, so that a network does not take signs of painting for scar. "
        "What is predicted later needs a channel of zeros, see `export origin-channel`.",
        flags=("--origin-channel",),
    )
    splits: Path | None = option(
        None, help="JSON file with the patients of each part. Its train and val make one fold; the other parts are left out.", panel=FOLDS
    )
    folds: int | None = option(
        None,
        help="Number of folds by patient. Patients with scar are spread evenly.",
        bounds=(2, None),
        default_text="5, or as many as patients",
        panel=FOLDS,
    )
    synthetic_share: float | None = option(
        None,
        help="Share of synthetic cases among the training cases of a fold, 0 to 1. Synthetic cases are left out to reach it.",
        default_text="every case once",
        panel=FOLDS,
    )
    repeat: bool = option(
        False,
        help="Reach the share by listing cases more than once, not by leaving cases out (needs nnU-Net 2.6 or newer).",
        flags=("--repeat",),
        panel=FOLDS,
    )
    most_per_host: int | None = option(
        None,
        help="Largest number of samples of one patient. The others are left out, before the share is reached.",
        bounds=(1, None),
        default_text="3 for stacks, no limit for slices",
        panel=FOLDS,
    )
    seed: int = option(0, help="Random seed for the folds and for the cases that are left out.", bounds=(0, None))

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.splits is not None and self.folds is not None:
            raise RunError("--splits and --folds both choose the validation patients; give only one of the two")
        if self.no_real and (self.synthetic_share is not None or self.folds is not None):
            raise RunError(
                "--no-real leaves no real slice to mix with or to validate on; remove --no-real, or remove --folds and --synthetic-share"
            )


@dataclass(frozen=True, kw_only=True)
class OriginRequest:
    """Which images to prepare for the prediction by a network that was trained with an origin channel.

    Attributes:
        images: folder of images that nnU-Net could predict without an origin channel, CASE_0000.nii.gz.
    """

    images: Path = option(help="Folder of images to predict, CASE_0000.nii.gz.", flags=("IMAGES",))
