"""Each remedy that a message prints is followed to the letter, and the file is then read as it was meant."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import nibabel
import numpy
import numpy as np
import pytest
import SimpleITK
from factories import ring_patient, run_command, short_axis_affine, write_patient

from lgesynthnet.data.cohort import open_cohort
from lgesynthnet.data.label_maps import LABEL_MAPS, parse_label_map
from lgesynthnet.data.layouts.find import find_cases, find_images
from lgesynthnet.data.nifti import read_volume
from lgesynthnet.data.stack import read_stack
from lgesynthnet.errors import InputError
from lgesynthnet.records import Skipped, Stack

IDS = LABEL_MAPS["emidec"]
SIZE_MM = (1.5, 1.5, 10.0)
OBLIQUE = short_axis_affine(2, SIZE_MM)


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path, monkeypatch):
    """The lines write into the current folder."""
    monkeypatch.chdir(tmp_path)


def follow(message: str) -> None:
    """Run the Python that a message prints, and put what it writes in the place of the file that the message is about."""
    [line] = re.findall(r"((?:i = nibabel|nibabel\.save|SimpleITK\.WriteImage).*?)(?: and put corrected\.nii\.gz in its place)?$", message)
    exec(line, {"nibabel": nibabel, "numpy": numpy, "SimpleITK": SimpleITK})
    if "in its place" in message:
        Path("corrected.nii.gz").replace(message.partition(": ")[0])


def refused(read, *arguments) -> str:
    with pytest.raises(InputError) as caught:
        read(*arguments)
    assert str(caught.value).isprintable()
    return str(caught.value)


def heart() -> tuple[np.ndarray, np.ndarray]:
    """Image and labels of one patient in the order of a file."""
    image, labels = ring_patient(7, scar=True)
    return np.rint(image).astype(np.int16).transpose(1, 0, 2), labels.transpose(1, 0, 2)


def write(name: str, voxels: np.ndarray, affine: np.ndarray = OBLIQUE) -> Path:
    nibabel.save(nibabel.Nifti1Image(voxels, affine), name)
    return Path(name)


def expected(tmp_path: Path) -> Stack:
    image, labels = heart()
    return read_stack(write("honest_i.nii.gz", image), write("honest_l.nii.gz", labels), "A", IDS)


def overlap(first: np.ndarray, second: np.ndarray, label: int) -> float:
    return 2 * ((first == label) & (second == label)).sum() / ((first == label).sum() + (second == label).sum())


def test_labels_on_a_finer_grid_are_resampled(tmp_path):
    image, labels = heart()
    finer = OBLIQUE.copy()
    finer[:3, :2] /= 2
    finer[:3, 3] -= (finer[:3, 0] + finer[:3, 1]) / 2
    paths = write("i.nii.gz", image), write("l.nii.gz", labels.repeat(2, axis=0).repeat(2, axis=1), finer)
    follow(refused(read_stack, *paths, "A", IDS))
    np.testing.assert_array_equal(read_stack(*paths, "A", IDS).labels, expected(tmp_path).labels)


def test_labels_of_a_part_of_the_image_are_resampled(tmp_path):
    image, labels = heart()
    part = OBLIQUE.copy()
    part[:3, 3] = (OBLIQUE @ (6, 4, 0, 1))[:3]
    paths = write("i.nii.gz", image), write("l.nii.gz", labels[6:60, 4:58], part)
    follow(refused(read_stack, *paths, "A", IDS))
    np.testing.assert_array_equal(read_stack(*paths, "A", IDS).labels, expected(tmp_path).labels)


def test_labels_on_a_turned_grid_are_resampled(tmp_path):
    """By 5 degrees about the axis of the stack: nearest neighbours keep the heart within a pixel."""
    image, labels = heart()
    angle = np.radians(5)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    centre = np.eye(4)
    centre[:2, 3] = 32
    turned = OBLIQUE @ centre @ turn @ np.linalg.inv(centre)
    moved = SimpleITK.Resample(
        SimpleITK.ReadImage(str(write("l.nii.gz", labels))),
        SimpleITK.ReadImage(str(write("grid.nii.gz", labels, turned))),
        SimpleITK.Transform(),
        SimpleITK.sitkNearestNeighbor,
    )
    SimpleITK.WriteImage(moved, "l.nii.gz")
    paths = write("i.nii.gz", image), Path("l.nii.gz")
    follow(refused(read_stack, *paths, "A", IDS))
    read = read_stack(*paths, "A", IDS).labels
    assert min(overlap(read, expected(tmp_path).labels, label) for label in (1, 2)) > 0.95


@pytest.mark.parametrize("empty", [np.eye(4), np.diag([1.5, 1.5, 10.0, 1.0])], ids=["1 mm", "pixel size"])
@pytest.mark.parametrize("affine", [OBLIQUE, np.diag([-1.5, -1.5, 10.0, 1.0])], ids=["oblique", "along the scanner"])
def test_labels_that_were_saved_without_their_position_get_it_from_the_image(tmp_path, affine, empty):
    image, labels = heart()
    paths = write("i.nii.gz", image, affine), write("l.nii.gz", labels, empty)
    follow(refused(read_stack, *paths, "A", IDS))
    honest = read_stack(paths[0], write("h.nii.gz", labels, affine), "A", IDS)
    np.testing.assert_array_equal(read_stack(*paths, "A", IDS).labels, honest.labels)


@pytest.mark.parametrize("times", [10, 85])
def test_unknown_ids_are_mapped_by_the_option(times):
    root = Path("hosts")
    image = write_patient(root, "A", seed=1, scar=True)
    label = Path(str(image).replace("Images", "Contours"))
    stored = nibabel.load(label)
    honest = open_cohort(root).stack("A").labels
    nibabel.save(nibabel.Nifti1Image((np.asarray(stored.dataobj) * times).astype(np.uint8), stored.affine), label)
    done = run_command("verify", root, "--quick")
    [option] = re.findall(r"--labels (\S+)$", done.stdout, re.MULTILINE)
    assert done.returncode == 2
    assert "1 case, 3 of 3" in run_command("verify", root, "--quick", "--labels", option).stdout
    np.testing.assert_array_equal(open_cohort(root, label_map=parse_label_map(option)).stack("A").labels, honest)


def test_a_folder_whose_ids_nobody_knows_names_options_that_work():
    image, labels = heart()
    Path("data").mkdir()
    write("data/A.nii.gz", image)
    write("data/A_gt.nii.gz", labels)
    message = refused(open_cohort, Path("data"))
    [dataset] = re.findall(r"--dataset (\w+)", message)
    [option] = re.findall(r"--labels (\S+)", message)
    for words in (("--dataset", dataset), ("--labels", option)):
        assert "1 case, 3 of 3 slices usable, 3 of them with scar" in run_command("verify", "data", "--quick", *words).stdout


def test_one_frame_of_a_film_is_taken(tmp_path):
    image, labels = heart()
    paths = write("i.nii.gz", np.stack([image, image + 100], axis=3)), write("l.nii.gz", labels)
    follow(refused(read_stack, *paths, "A", IDS))
    np.testing.assert_array_equal(read_stack(*paths, "A", IDS).image, expected(tmp_path).image)


def test_a_skew_is_left_out(tmp_path):
    image, labels = heart()
    skewed = OBLIQUE.copy()
    skewed[:3, 2] += 0.4 * skewed[:3, 0] * SIZE_MM[2] / SIZE_MM[0]
    skewed[:3, 2] *= SIZE_MM[2] / np.linalg.norm(skewed[:3, 2])
    paths = write("i.nii.gz", image, skewed), write("l.nii.gz", labels, skewed)
    for _ in paths:
        follow(refused(read_stack, *paths, "A", IDS))
    stack = read_stack(*paths, "A", IDS)
    np.testing.assert_array_equal(stack.image, expected(tmp_path).image)
    np.testing.assert_array_equal(stack.labels, expected(tmp_path).labels)
    np.testing.assert_allclose((*stack.spacing_mm, stack.slice_step_mm), SIZE_MM, rtol=1e-3)
    SimpleITK.ReadImage(str(paths[0]))


def test_a_position_without_a_direction_is_left_out(tmp_path):
    image, labels = heart()
    paths = write("i.nii.gz", image), write("l.nii.gz", labels)
    for path in paths:
        stored = nibabel.load(path)
        stored.header["srow_z"], stored.header["vox_offset"] = 0, 352
        path.write_bytes(gzip.compress(stored.header.binaryblock + bytes(4) + np.asarray(stored.dataobj).tobytes(order="F")))
    for _ in paths:
        follow(refused(read_stack, *paths, "A", IDS))
    stack = read_stack(*paths, "A", IDS)
    np.testing.assert_array_equal(stack.labels, labels.transpose(1, 0, 2))
    np.testing.assert_allclose((*stack.spacing_mm, stack.slice_step_mm), SIZE_MM, rtol=1e-5)
    SimpleITK.ReadImage(str(paths[0]))


def test_of_two_positions_the_right_one_is_kept(tmp_path):
    image, _ = heart()
    stored = nibabel.Nifti1Image(image, OBLIQUE)
    stored.set_sform(OBLIQUE, 1)
    stored.set_qform(OBLIQUE @ np.diag([-1, 1, 1, 1.0]), 1)
    nibabel.save(stored, "i.nii.gz")
    follow(refused(read_volume, Path("i.nii.gz")))
    volume = read_volume(Path("i.nii.gz"))
    assert volume.notes == ()
    np.testing.assert_allclose(volume.affine, OBLIQUE, atol=1e-4)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd", ".img", ".hdr"])
def test_other_formats_are_converted(tmp_path, ending):
    image, labels = heart()
    root = Path("data")
    root.mkdir()
    for name, voxels in (("A_image", image), ("A_label", labels)):
        SimpleITK.WriteImage(SimpleITK.ReadImage(str(write("x.nii.gz", voxels))), f"data/{name}{ending}")
    message = refused(open_cohort, root)
    for name in ("A_image", "A_label"):
        follow(message.partition("; the known layouts")[0].replace("A_image", name))
    stack = open_cohort(root, dataset="emidec").stack("A")
    np.testing.assert_array_equal(stack.labels, expected(tmp_path).labels)
    np.testing.assert_array_equal(stack.image, expected(tmp_path).image)


@pytest.mark.parametrize("ending", [".img", ".hdr"])
def test_half_of_a_pair_in_a_table_is_converted(ending):
    image, _ = heart()
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(write("x.nii.gz", image))), "a.hdr")
    follow(refused(read_volume, Path(f"a{ending}")))
    np.testing.assert_array_equal(read_volume(Path("a.nii.gz")).stored, image)


@pytest.mark.parametrize("endings", [(".NII.GZ", ".NII.GZ"), (".Nii", ".nii.gz"), (".NII", ".NII")])
def test_endings_in_upper_case_need_no_remedy(tmp_path, endings):
    image, labels = heart()
    write("x.nii.gz", image)
    write("y.nii.gz", labels)
    Path("x.nii.gz").rename(f"A_IMAGE{endings[0]}")
    Path("y.nii.gz").rename(f"A_Label{endings[1]}")
    np.testing.assert_array_equal(open_cohort(tmp_path, dataset="emidec").stack("A").labels, expected(tmp_path).labels)


def test_nan_is_replaced_as_the_error_says():
    image, labels = heart()
    broken = image.astype(np.float32)
    broken[3, 4, 1] = np.nan
    paths = write("i.nii.gz", broken), write("l.nii.gz", labels)
    assert "replace them, e.g. by 0" in refused(read_stack, *paths, "A", IDS)
    write("i.nii.gz", np.nan_to_num(broken, nan=0.0))
    assert read_stack(*paths, "A", IDS).image[:, :, 1].min() == 0


def test_two_images_of_one_case_are_told_apart_by_the_name_that_is_proposed():
    image, labels = heart()
    Path("data/P1").mkdir(parents=True)
    for name in ("a", "b", "seg"):
        write(f"data/P1/{name}.nii.gz", labels if name == "seg" else image)
    [skipped] = find_cases(Path("data")).skipped
    [name] = re.findall(r"call the right one (\S+?),", skipped.reason)
    Path("data/P1/b.nii.gz").rename(f"data/P1/{name}")
    [case] = find_cases(Path("data")).cases
    assert (case.patient, case.image_path.name) == ("P1", name)


def test_images_in_the_folder_of_a_case_are_told_apart_by_the_name_that_is_proposed():
    image, labels = heart()
    for name in ("Images/a", "Images/b", "Contours/c"):
        Path("data/Case_P1", name).parent.mkdir(parents=True, exist_ok=True)
        write(f"data/Case_P1/{name}.nii.gz", labels if "c" in name[-1] else image)
    [skipped] = find_cases(Path("data")).skipped
    [name] = re.findall(r"call the right one (\S+?),", skipped.reason)
    Path("data/Case_P1/Images/b.nii.gz").rename(f"data/Case_P1/Images/{name}")
    [case] = find_cases(Path("data")).cases
    assert (case.patient, case.image_path.name) == ("P1", name)


def test_several_pairs_in_one_folder_are_read_when_the_folder_itself_is_given():
    image, labels = heart()
    Path("data/site").mkdir(parents=True)
    for case in ("A", "B"):
        write(f"data/site/{case}.nii.gz", image)
        write(f"data/site/{case}_gt.nii.gz", labels)
    content = find_cases(Path("data"))
    assert content.cases == []
    [skipped] = content.skipped
    assert "if each is a patient, give this folder itself" in skipped.reason
    assert [case.patient for case in find_cases(Path(skipped.reason.partition(": ")[0])).cases] == ["A", "B"]


def test_images_without_labels_are_found_by_the_command_that_the_error_names(tmp_path):
    image, _ = heart()
    root = Path("it's here")
    root.mkdir()
    write("it's here/A.nii.gz", image)
    message = refused(
        open_cohort,
        root,
    )
    assert message.endswith("""let the program draw cavity and wall: lgesynthnet segment 'it'"'"'s here' --out MASKS""")
    assert [case.patient for case in find_images(root).cases] == ["A"]


def test_a_label_file_in_the_place_of_the_image_is_found_out():
    image, labels = heart()
    message = refused(read_stack, write("l.nii.gz", labels), write("i.nii.gz", image), "A", IDS)
    assert "image and label did not change places" in message
    assert not isinstance(read_stack(Path("i.nii.gz"), Path("l.nii.gz"), "A", IDS), Skipped)
