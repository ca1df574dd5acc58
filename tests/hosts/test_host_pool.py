"""One broken patient costs one patient, by name, and `verify` and `find_hosts` agree on every slice."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from factories import ring_patient, run_command, write_hosts, write_patient

from lgesynthnet import __version__
from lgesynthnet.anatomy.insertions import most_likely_insertions
from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.declaration import write_declaration
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.errors import InputError
from lgesynthnet.hosts import pool as pool_module
from lgesynthnet.hosts.inspection import verify
from lgesynthnet.hosts.orientation_cache import OrientationCache, content_of
from lgesynthnet.hosts.pool import HostPool, find_hosts
from lgesynthnet.records import Insertions
from lgesynthnet.terms import LEAST_ORIENTATION_CONFIDENCE


def cohort_of(root: Path, change: Callable[[Path], None], *, rv: bool = True) -> Path:
    """The patient X, both of whose files were changed, beside the good patient N002."""
    write_patient(root, "N002", seed=1, rv=rv)
    image = write_patient(root, "X", seed=2, rv=rv, dtype=np.float32)
    write_declaration(root, labels="lgesynthnet", base_first=True)
    change(image)
    return root


def files_of(image: Path) -> tuple[Path, Path]:
    return image, image.parents[1] / "Contours" / image.name


def pixels(change: Callable[[np.ndarray], None]) -> Callable[[Path], None]:
    """Change the numbers of the image."""

    def apply(image: Path) -> None:
        nifti = nib.load(image)
        voxels = np.asarray(nifti.dataobj).copy()
        change(voxels)
        nib.save(nib.Nifti1Image(voxels, nifti.affine), image)

    return apply


def headers(offset: int, form: str, *values: float) -> Callable[[Path], None]:
    """Change the header of both files."""

    def apply(image: Path) -> None:
        for path in files_of(image):
            raw = bytearray(gzip.decompress(path.read_bytes()))
            struct.pack_into("<" + form, raw, offset, *values)
            path.write_bytes(gzip.compress(bytes(raw)))

    return apply


def constant(voxels: np.ndarray) -> None:
    voxels[:, :, 1] = 7


def almost_constant(voxels: np.ndarray) -> None:
    voxels[:, :, 1] = 1e9 + voxels[:, :, 1]


def huge(voxels: np.ndarray) -> None:
    voxels[5:9, 5:9, 1] = 1e30


def not_finite(voxels: np.ndarray) -> None:
    voxels[32] = np.nan


def empty(voxels: np.ndarray) -> None:
    voxels[...] = 0


BROKEN = {
    "constant": (pixels(constant), [0, 2], "X slice 1: the image is constant"),
    "almost constant": (pixels(almost_constant), [0, 2], "X slice 1: the image is almost constant"),
    "huge": (pixels(huge), [0, 2], "X slice 1: the image holds numbers up to 1e+30"),
    "NaN": (pixels(not_finite), [], "slice 0 holds NaN or Inf in 64 pixels"),
    "zero": (pixels(empty), [], "X slice 0: the image is zero everywhere"),
    "0.04 mm": (
        headers(80, "2f", 0.04, 0.04),
        [],
        "mm, usable are 10 to 128 mm; the pixels of 0.04 x 0.04 mm are probably",
    ),
    "6 mm": (headers(80, "2f", 6.0, 6.0), [], "the pixels of 6 x 6 mm are probably stated in another unit"),
    "stretched": (headers(80, "2f", 0.1, 9.0), [], "its pixels are 9 x 0.1 mm"),
}


@pytest.mark.parametrize("rv", [True, False], ids=["rv", "no rv"])
@pytest.mark.parametrize(("change", "usable", "says"), BROKEN.values(), ids=BROKEN)
def test_a_broken_patient_is_named_and_the_other_is_taken(tmp_path, change, usable, says, rv):
    cohort = open_cohort(cohort_of(tmp_path, change, rv=rv))
    report = verify(cohort)
    pool = find_hosts(cohort)
    assert [case.usable for case in report.cases] == [(0, 1, 2), tuple(usable)]
    assert [(entry.patient, entry.index) for entry in pool.entries] == [("N002", 0), ("N002", 1), ("N002", 2), *(("X", i) for i in usable)]
    assert says in "\n".join(report.lines())
    assert {skipped.name.partition("_")[0] for skipped in pool.skipped} == {"X"}
    for entry in pool.entries:
        pool.fetch(entry)


@pytest.mark.parametrize("qfac", [0.0, float("nan"), 3.0, -1.0])
def test_the_first_pixdim_is_read_as_the_standard_says_and_samples_keep_their_place(tmp_path, qfac):
    """NIfTI-1: pixdim[0] is the sign of the third axis of the quaternion, and 0 means 1. Several programs write 0."""

    def with_quaternion(image: Path) -> None:
        for path in files_of(image):
            nifti = nib.load(path)
            affine = np.diag([1.5, 1.5, 10.0, 1.0])
            nifti.set_sform(affine, 0)
            nifti.set_qform(affine, 1)
            nib.save(nifti, path)
        headers(76, "f", qfac)(image)

    root = cohort_of(tmp_path / "hosts", with_quaternion)
    run = tmp_path / "run"
    words = ["--prior", "ischaemic", "--count", 2, "--model", "paste", "--patient", "X", "--keep-all"]
    done = run_command("synthesize", "--hosts", root, *words, "--out", run)
    assert done.returncode == 0, done.stderr
    theirs = read_volume(root / "Case_X" / "Images" / "Case_X.nii.gz").affine
    assert theirs[2, 2] == (-10 if qfac < 0 else 10)
    for sample in (run / "images").glob("*.nii.gz"):
        ours = nib.load(sample)  # nibabel itself refuses a pixdim[0] of 0
        np.testing.assert_allclose(ours.affine[:, :3], theirs[:, :3], atol=1e-5)


def test_the_fingerprint_is_of_what_was_read_and_not_of_what_was_computed(tmp_path, monkeypatch):
    """Other instruction sets give other last digits of an estimated angle. A run must go on there."""
    root = write_hosts(tmp_path, patients=2)
    before = find_hosts(open_cohort(root))

    def slightly_other(evidence: np.ndarray) -> Insertions:
        found = most_likely_insertions(evidence)
        return Insertions(
            anterior_deg=found.anterior_deg + 0.01, inferior_deg=found.inferior_deg, source=found.source, confidence=found.confidence
        )

    monkeypatch.setattr("lgesynthnet.anatomy.orientation.most_likely_insertions", slightly_other)
    after = find_hosts(open_cohort(root))
    assert before.entries[0].insertions != after.entries[0].insertions
    assert before.fingerprint == after.fingerprint


@pytest.mark.parametrize("what", ["pixel", "label", "spacing", "flip", "order", "landmark"])
def test_the_fingerprint_changes_with_everything_that_is_read(tmp_path, what):
    root = write_hosts(tmp_path / "hosts", patients=2, rv=True)
    before = find_hosts(open_cohort(root)).fingerprint
    image = root / "Case_N002" / "Images" / "Case_N002.nii.gz"
    options: dict[str, object] = {}
    if what == "pixel":
        pixels(lambda voxels: voxels.__setitem__((0, 0, 1), 3))(image)
    elif what == "label":
        pixels(lambda voxels: voxels.__setitem__((36, 31, 1), 0))(files_of(image)[1])
    elif what == "spacing":
        headers(80, "2f", 1.4, 1.4)(image)
    elif what == "flip":
        options["flip"] = (True, False)
    elif what == "order":
        options["base_first"] = False
    else:
        (tmp_path / "marks.csv").write_text("case,slice,anterior_deg,inferior_deg\nN002,1,140,250\n")
        options["landmarks"] = tmp_path / "marks.csv"
    assert find_hosts(open_cohort(root, **options)).fingerprint != before


def test_a_file_that_changed_meanwhile_is_refused_when_it_is_fetched(tmp_path):
    root = write_hosts(tmp_path, patients=1, rv=True)
    pool = find_hosts(open_cohort(root))
    pool.fetch(pool.entries[0])
    pixels(lambda voxels: voxels.__setitem__((0, 0, 1), 3))(pool.entries[0].case.image_path)
    pool.fetch(pool.entries[0])  # still in memory
    again = HostPool(cohort=pool.cohort, entries=pool.entries, skipped=[], fingerprint=pool.fingerprint, contents=pool.contents)
    with pytest.raises(InputError, match=r"Case_N001.nii.gz: it or its labels changed after the hosts were listed"):
        again.fetch(pool.entries[0])


def test_stacks_in_memory_are_bounded_by_their_bytes(tmp_path, monkeypatch):
    root = write_hosts(tmp_path, patients=3, rv=True)
    cohort = open_cohort(root)
    pool = find_hosts(cohort)
    sizes = [stack.image.nbytes + stack.labels.nbytes for stack in cohort.stacks()]
    monkeypatch.setattr(pool_module, "STACK_BYTES_IN_MEMORY", max(sizes) + 1)
    for entry in pool.entries:
        pool.fetch(entry)
        held = sum(stack.image.nbytes + stack.labels.nbytes for stack in pool._stacks.values())
        assert held <= max(sizes) + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "[" * 100_000,
        '{"version": 1}',
        '{"version": "VERSION", "stacks": {"KEY": {"order": [1], "insertions": []}}}',
        '{"version": "VERSION", "stacks": {"KEY": {"order": [true, 1.0, "given"], "insertions": [[1e400, 1, "image", 1]]}}}',
        '{"version": "VERSION", "stacks": {"KEY": {"order": [true, 9.0, "given"], "insertions": [null]}}}',
    ],
)
def test_a_damaged_cache_of_orientations_is_an_empty_one(tmp_path, text):
    root = write_hosts(tmp_path / "hosts", patients=1, rv=True)
    cohort = open_cohort(root)
    [stack] = cohort.stacks()
    path = tmp_path / "hosts.json"
    path.write_text(text.replace("VERSION", __version__).replace("KEY", content_of(stack)))
    content = content_of(stack)
    assert OrientationCache(path).locate(stack, content).insertions == OrientationCache().locate(stack, content).insertions


def test_a_heart_whose_orientation_is_uncertain_is_no_host_and_the_count_is_told(tmp_path):
    """Noise without an RV: the image says nothing of the septum."""
    rng = np.random.default_rng(0)
    image, labels = ring_patient(1, 3)
    image[labels == 0] = rng.normal(90, 30, (labels == 0).sum())
    for part, voxels in (("image", image.astype(np.float32)), ("label", labels)):
        nib.save(nib.Nifti1Image(voxels.transpose(1, 0, 2), np.diag([1.5, 1.5, 10.0, 1.0])), tmp_path / f"A_{part}.nii.gz")
    cohort = open_cohort(tmp_path, dataset="emidec")
    everyone = find_hosts(cohort, least_confidence=0.0)
    assert max(entry.insertions.confidence for entry in everyone.entries) < LEAST_ORIENTATION_CONFIDENCE
    assert everyone.uncertain == 0
    with pytest.raises(InputError, match=r"the confidence of its orientation is 0\.\d\d, and 0\.6 is needed; mark the RV insertions"):
        find_hosts(cohort)
    assert verify(cohort).counts["usable"] == 0
    assert verify(cohort, quick=True).counts["usable"] == 3
    # Each remedy of the message.
    assert verify(cohort, least_confidence=0.0).counts["usable"] == len(everyone.entries) == 3
    (tmp_path / "marks.csv").write_text("case,slice,anterior_deg,inferior_deg\nA,1,120,240\n")
    marked = open_cohort(tmp_path, dataset="emidec", landmarks=tmp_path / "marks.csv")
    assert len(find_hosts(marked).entries) == verify(marked).counts["usable"] == 3


def test_verify_and_synthesize_agree_on_the_slices_that_can_be_used(tmp_path):
    root = write_hosts(tmp_path / "hosts", 3)
    report = verify(open_cohort(root))
    usable = {(case.patient, index) for case in report.cases for index in case.usable}
    assert usable == {(entry.patient, entry.index) for entry in find_hosts(open_cohort(root), with_scar=True).entries}
    assert all("RV insertions from the image" in str(case) for case in report.cases)
    assert all("view from the affine" in str(case) for case in report.cases)
