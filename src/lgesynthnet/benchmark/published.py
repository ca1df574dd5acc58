"""The results of the paper, shown beside ours. They come from other patients and another segmenter, so they get columns of their own.

Source: Jacob, Sharma, Rueckert (2026), arXiv 2603.18356. In its Table 1, 149 real slices with scar are repainted from their own masks.
Dice is the mean over slices with scar. "Pass" is the share of slices with a Dice above 0.6, measured by a segmenter that passes only
53 of the 149 real slices.
"""

from __future__ import annotations

from dataclasses import dataclass

SLICES = 149


@dataclass(frozen=True, kw_only=True)
class Published:
    """One row of Table 1. SSIM and RMSE compare a slice with its real original, on the full image and on the heart.

    Attributes:
        passed: share of slices with a Dice above 0.6, from 0 to 1.
    """

    ssim_full: float
    rmse_full: float
    ssim_heart: float
    rmse_heart: float
    dice: float
    passed: float


TABLE_1 = {
    "real": Published(ssim_full=1.0, rmse_full=0.0, ssim_heart=1.0, rmse_heart=0.0, dice=0.465, passed=0.356),
    "spade-limited": Published(ssim_full=0.147, rmse_full=0.088, ssim_heart=0.159, rmse_heart=0.069, dice=0.362, passed=0.262),
    "spade-full": Published(ssim_full=0.974, rmse_full=0.002, ssim_heart=0.986, rmse_heart=0.001, dice=0.272, passed=0.188),
    "controlnet": Published(ssim_full=0.571, rmse_full=0.008, ssim_heart=0.570, rmse_heart=0.009, dice=0.230, passed=0.121),
    "controlnet-template": Published(ssim_full=0.130, rmse_full=0.102, ssim_heart=0.100, rmse_heart=0.093, dice=0.002, passed=0.007),
    "lgesynthnet": Published(ssim_full=0.587, rmse_full=0.009, ssim_heart=0.582, rmse_heart=0.009, dice=0.273, passed=0.181),
}


@dataclass(frozen=True, kw_only=True)
class PublishedUtility:
    """One row of the downstream table: 53 patients, 31 of them with scar.

    Attributes:
        dice_all, dice_positive: mean Dice over all slices, and over slices with scar.
        accuracy, balanced: accuracy and balanced accuracy of scar detection by patient.
    """

    dice_all: float
    dice_positive: float
    accuracy: float
    balanced: float


def _utility(dice_all: float, dice_positive: float, accuracy: float, balanced: float) -> PublishedUtility:
    return PublishedUtility(dice_all=dice_all, dice_positive=dice_positive, accuracy=accuracy, balanced=balanced)


# By arm and number of synthetic slices. In the paper the filter's masks were the labels, not the prescribed ones.
UTILITY = {
    ("real", 0): _utility(0.72, 0.32, 0.77, 0.73),
    ("spade-limited", 300): _utility(0.77, 0.31, 0.85, 0.86),
    ("spade-full", 300): _utility(0.75, 0.19, 0.68, 0.72),
    ("lgesynthnet", 300): _utility(0.77, 0.35, 0.89, 0.90),
    ("lgesynthnet", 500): _utility(0.78, 0.36, 0.91, 0.91),
    ("lgesynthnet", 1000): _utility(0.77, 0.36, 0.92, 0.93),
    ("lgesynthnet", 1500): _utility(0.77, 0.37, 0.91, 0.91),
}
