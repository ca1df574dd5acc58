import pytest
import torch

from lgesynthnet.devices import check_device_name, usable_device
from lgesynthnet.errors import InputError

NO_DEVICES = ["xyz", "", "gpus", "cpu:0", "cuda:", "cuda:-1", "cuda:x", "cuda:99999", "CUDA", "meta", "cuda:0\n", "auto "]


@pytest.mark.parametrize("name", NO_DEVICES)
def test_a_name_that_is_no_device_is_refused_in_one_line(name):
    for check in (check_device_name, usable_device):
        with pytest.raises(InputError, match="is no device; give auto, cpu") as refusal:
            check(name)
        assert "\n" not in str(refusal.value)


def test_auto_takes_a_card_only_where_there_is_one(monkeypatch):
    for there, kind in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert usable_device("auto") == torch.device(kind)
    assert usable_device("cpu") == torch.device("cpu")


def test_cuda_is_refused_by_a_build_without_it_and_by_a_machine_without_a_card(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "hip", None)
    monkeypatch.setattr(torch.version, "cuda", None)
    with pytest.raises(InputError, match="this build of torch has no CUDA; install one that has it, or give --device cpu"):
        usable_device("cuda")
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    with pytest.raises(InputError, match="finds no usable CUDA card"):
        usable_device("cuda:0")


def test_a_card_that_is_not_there_is_refused_and_the_others_are_named(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert usable_device("cuda:1") == usable_device("gpu:1") == torch.device("cuda:1")
    with pytest.raises(InputError, match="has cuda:0 to cuda:1 alone"):
        usable_device("cuda:2")


def test_mps_is_refused_where_torch_cannot_use_it(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"--device mps: .*; give --device cpu"):
        usable_device("mps")
