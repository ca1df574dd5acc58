"""The plan, the command and the request say the same: a command rebuilt from a plan plans the same run."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lgesynthnet.cli.signature import takes
from lgesynthnet.data.source import CohortSource
from lgesynthnet.errors import RunError
from lgesynthnet.options import leaves
from lgesynthnet.run.plan import SynthesisPlan
from lgesynthnet.run.request import SynthesisRequest
from lgesynthnet.terms import Flip, Prior

PLACES = st.sampled_from(["/data/emidec", "/data/my hosts", "/data/hösts ♥", "/data/it's", "/data/--prior"]).map(Path)
SOURCES = st.builds(
    CohortSource,
    root=PLACES,
    dataset=st.none() | st.just("emidec"),
    labels=st.none() | st.just("10=cavity,20=wall,30=scar"),
    base_first=st.none() | st.booleans(),
    flip=st.sampled_from(list(Flip)),
    landmarks=st.none() | PLACES,
    patients=st.none() | st.lists(st.sampled_from(["P001", "P 2", "-p3"]), min_size=1, max_size=3, unique=True).map(tuple),
)
WHAT = st.one_of(
    st.fixed_dictionaries({"prior": st.sampled_from(list(Prior))}),
    st.fixed_dictionaries({"text": st.sampled_from(["Transmural enhancement in the inferior wall", "scar; rm -rf ~", '"quoted"'])}),
    st.fixed_dictionaries({"prescriptions": PLACES}),
)
REST = st.fixed_dictionaries(
    {
        "hosts": SOURCES,
        "count": st.integers(1, 10**6),
        "model": st.sampled_from(["phantom", "paste"]),
        "filter": st.none() | PLACES,
        "seed": st.integers(0, 2**63 - 1),
        "hosts_with_scar": st.booleans(),
        "splits": st.none() | PLACES,
        "part": st.sampled_from(["train", "val"]),
        "keep_all": st.booleans(),
        "dice_above": st.floats(0, 0.99),
        "dice_only": st.booleans(),
        "balance": st.booleans(),
        "max_attempts": st.none() | st.integers(1, 10**6),
        "max_seconds": st.none() | st.floats(0.001, 1e6),
        "shard": st.sampled_from(["1/1", "2/5"]),
        "strict": st.booleans(),
        "device": st.sampled_from(["auto", "cuda:1"]),
    }
)
REQUESTS = st.builds(lambda what, rest: SynthesisRequest(**what, **rest), WHAT, REST)


def plan_of(request: SynthesisRequest) -> SynthesisPlan:
    return SynthesisPlan(
        request=request,
        patients=request.hosts.patients,
        hosts_fingerprint="hosts:0",
        usable_hosts=1,
        generator_fingerprint="g",
        filter_fingerprint="f",
    )


def parsed(words: list[str]) -> SynthesisRequest:
    """The request that the command line makes of these words."""
    requests: list[SynthesisRequest] = []
    app = typer.Typer()

    @app.command()
    @takes(SynthesisRequest)
    def synthesize(request: SynthesisRequest, out: Path = typer.Option()) -> None:
        requests.append(request)

    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    return requests[0]


@settings(max_examples=60, deadline=None)
@given(request=REQUESTS)
def test_plan_to_command_to_plan_is_the_identity(request):
    plan = plan_of(request)
    read_back = SynthesisPlan.model_validate_json(plan.to_json())
    assert read_back == plan
    words = shlex.split(read_back.command(Path("/runs/a run")))
    assert words[:2] == ["lgesynthnet", "synthesize"]
    assert words[-2:] == ["--out", "/runs/a run"]
    assert plan_of(parsed(words[2:])) == plan


def test_the_command_names_the_part_whose_patients_were_painted_into():
    """Without it, the printed command would paint into test patients."""
    request = SynthesisRequest(hosts=CohortSource(root=Path("/d")), count=1, prior=Prior.UNIFORM, splits=Path("/d/splits.json"), part="val")
    words = shlex.split(plan_of(request).command(Path("/r")))
    assert words[words.index("--splits") + 1] == "/d/splits.json"
    assert words[words.index("--part") + 1] == "val"


def test_every_option_has_a_sentence_of_help_and_a_name_of_its_own():
    options = list(leaves(SynthesisRequest))
    assert len({leaf.name for leaf in options}) == len(options)
    assert all(leaf.option.help.rstrip().endswith((".", ")", '".')) for leaf in options)


def test_an_unknown_key_in_a_plan_is_an_error(tmp_path):
    plan = json.loads(plan_of(SynthesisRequest(hosts=CohortSource(root=Path("/d")), count=1, prior=Prior.UNIFORM)).to_json())
    plan["request"]["cuont"] = 2
    (tmp_path / "plan.json").write_text(json.dumps(plan))
    with pytest.raises(RunError, match="cuont"):
        SynthesisPlan.read(tmp_path / "plan.json")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"count": 0}, "--count 0"),
        ({"seed": -1}, "--seed -1"),
        ({"dice_above": 1.0}, "--dice-above 1.0"),
        ({"max_attempts": 0}, "--max-attempts 0"),
        ({"max_seconds": 0.0}, "--max-seconds 0.0"),
        ({"prior": None}, r"\(none was given\)"),
        ({"text": "x"}, r"--text and --prior was given"),
        ({"shard": "3/2"}, "--shard 3/2"),
    ],
)
def test_a_request_that_cannot_be_run_is_not_born(change, named):
    known = {"hosts": CohortSource(root=Path("/d")), "count": 1, "prior": Prior.UNIFORM}
    with pytest.raises(RunError, match=named):
        SynthesisRequest(**{**known, **change})
