"""`lgesynthnet export` on the command line: files, messages, exit codes, and the modules that it loads."""

from __future__ import annotations

import subprocess
import sys

from factories import run_command as run

from lgesynthnet.phantom.cohort import simulate_patients


def test_a_run_is_exported_as_nnunet_and_as_pairs_without_torch(tmp_path):
    simulate_patients(tmp_path / "hosts", patients=2, seed=4, positive=0.0)
    run("synthesize", "--hosts", tmp_path / "hosts", "--model", "paste", "-n", 2, "--prior", "uniform", "--out", tmp_path / "run")
    code = "import sys\nfrom lgesynthnet.cli.app import main\nsys.argv[0] = 'lgesynthnet'\ncode = main()\n"
    code += "print('LOADED', code, *{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    words = ["export", "nnunet", tmp_path / "run", tmp_path / "raw", "--dataset-id", 7, "--folds", 2, "--label", "read"]
    done = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip().endswith(str(tmp_path / "raw/Dataset007_LGESynthNet"))
    assert "including the synthetic ones" in done.stderr
    assert "splits_final.json to nnUNet_preprocessed/Dataset007_LGESynthNet" in done.stderr
    [loaded] = [line for line in done.stderr.splitlines() if line.startswith("LOADED")]
    assert loaded.split()[1] == "0"
    assert {"torch", "transformers", "monai", "diffusers"}.isdisjoint(loaded.split())

    assert run("-q", "export", "nifti", tmp_path / "run", tmp_path / "pairs", "--no-real").stderr == ""
    assert len([*(tmp_path / "pairs").glob("syn_*_image.nii.gz")]) == 2
    refused = run("export", "nifti", tmp_path / "run", tmp_path / "pairs")
    assert refused.returncode == 2
    [line] = refused.stderr.splitlines()
    assert "real_cases was 0 and is now" in line


def test_help_loads_nothing_heavy():
    code = "import sys\nfrom lgesynthnet.cli.app import main\nsys.argv[1:] = ['export', 'nnunet', '--help']\nmain()\n"
    code += "print('LOADED', *{m.split('.')[0] for m in sys.modules}, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "--synthetic-share" in done.stdout
    assert {"torch", "numpy", "nibabel", "scipy"}.isdisjoint(done.stderr.split())
