"""What surrounds the wall is the host's, whatever a generator paints there."""

import numpy as np
import pytest
from scipy import ndimage

from lgesynthnet.anatomy.frame import compute_heart_frame
from lgesynthnet.conditioning.edit import add_scar
from lgesynthnet.conditioning.repaint_region import WALL_REACH_MM, hidden_region
from lgesynthnet.conditioning.sample import Host
from lgesynthnet.generate.composite import with_own_surroundings
from lgesynthnet.prescription.scar import Pattern, ScarPrescription
from lgesynthnet.records import Label, Level, ShortAxisSlice

LUNG, FAT, WALL, BLOOD = 100.0, 3000.0, 400.0, 2000.0
SCAR = ScarPrescription(segments=frozenset({9, 10}), pattern=Pattern.SUBEPICARDIAL, transmurality=0.5, irregularity=0.0)
ROWS, COLS = np.mgrid[:112, :112] - 55.5
AWAY = np.hypot(ROWS, COLS)


def heart(outside: float) -> Host:
    """A ring of 1 mm pixels in lung or fat."""
    labels = np.where(AWAY <= 22, Label.CAVITY, np.where(AWAY <= 32, Label.WALL, 0)).astype(np.uint8)
    image = np.select([AWAY <= 22, AWAY <= 32], [BLOOD, WALL], outside).astype(np.float32)
    slice_ = ShortAxisSlice(patient="S", index=0, image=image, labels=labels, spacing_mm=(1.0, 1.0))
    return Host(slice_=slice_, frame=compute_heart_frame(slice_, Level.MID))


@pytest.mark.parametrize("outside", [LUNG, FAT])
def test_what_is_painted_beyond_the_wall_fades_out(outside):
    """A generator that paints scar over everything in its reach."""
    host = heart(outside)
    scar, wall = add_scar(host, SCAR).painted.scar, host.frame.wall
    hidden = hidden_region(scar, wall, (1.0, 1.0))
    painted = np.where(hidden, BLOOD, host.slice_.image)
    image, changed = with_own_surroundings(host, scar, painted, hidden)
    to_wall = ndimage.distance_transform_edt(~wall)
    beyond = hidden & (AWAY > 32)
    left = (image[beyond] - outside) / (BLOOD - outside)
    np.testing.assert_allclose(left, 1 - to_wall[beyond] / WALL_REACH_MM, atol=1e-4)
    assert left.max() < 0.7
    np.testing.assert_array_equal(image[wall & hidden], painted[wall & hidden])
    np.testing.assert_array_equal(image[~changed], host.slice_.image[~changed])
