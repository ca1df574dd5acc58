"""Sentences that no prescription can hold are refused with the reason and the way out, and quickly."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lgesynthnet.errors import PrescriptionError
from lgesynthnet.prescription.grammar.language import LONGEST_TEXT, prescribe, write_sentence


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("Transmural enhancement in the posterosptal wall", "cannot read 'posterosptal'; did you mean 'posteroseptal'?"),
        ("Transmurl scar in the latral wall", "cannot read 'transmurl', 'latral'; did you mean 'transmural', 'lateral'?"),
        ("Transmural scar sparing the septum", "'sparing' says where there is no scar"),
        ("Transmural scar in the septum, possible", "'possible' leaves open"),
        ("Transmural scar in the mid LAD territory", "write 'LAD territory at the mid level'"),
        ("Transmural scar in the D1 territory", "'d1' has no segments in the AHA standard"),
        ("Transmural scar in the free wall", "'free' has no segments of its own"),
        ("Transmural scar in the right ventricle", "is not the wall of the left ventricle"),
        ("Scar of the inferior wall and septal fibrosis, transmural", "joined by 'and'"),
        ("Inferior infarct and transmural scar in the basal inferior wall", "joined by 'and'"),
        ("Transmural inferior scar with septal fibrosis", "named in two places ('inferior' and 'septal')"),
        ("Transmural scar in the basal inferior wall. Septal scar.", "named in two places"),
        ("Subendocardial scar in the basal inferior (25 %) and mid inferior wall", "named in two places"),
        ("Transmural inferior infarct with scar in the septum", "'inferior' and segments 2, 3, 8, 9, 14 are two places"),
        ("Transmural scar in the inferior wall, LAD territory", "are not in the LAD territory beside the walls"),
        ("Transmural scar in the inferior wall (segments 4 and 10)", "keep the numbers or the walls"),
        ("Transmural scar in the inferior and posterior walls", "'posterior' beside 'inferior' is unclear"),
        ("Transmural scar in the anterior and inferior septal walls", "may mean the anterior wall or its septal part"),
        ("Transmural scar in the anterior mid septum", "'anterior' and 'septum' are not joined"),
        ("Transmural scar in the anterior part of the septum", "'part' belongs to no level"),
        ("Subendocardial scar of a third of the wall of the septum", "'third' belongs to no level"),
        ("Transmural scar in the anterior and apical walls", "unclear which wall 'apical' belongs to"),
        ("Transmural scar in the basal and inferior walls", "unclear which wall 'basal' belongs to"),
        ("Transmural scar of the septum extending to the mid level", "does not say from where"),
        ("Transmural scar of the basal and mid inferior, and apical inferior walls, extending to the septum", "at which level the septum"),
        ("Infarct of the inferior wall with patchy extension into the septum", "named in two places ('inferior' and 'septum')"),
        ("Mid septal, anteroapical and lateral transmural scar", "at which level the lateral"),
        ("Transmural scar at the border of the septum and the inferior wall", "is a place between segments"),
        ("Septal scar with an irregular endocardial border", "after a pattern makes it a place"),
        ("RV insertion fibrosis and fibrosis in the lateral wall", "RV insertions and walls are joined by 'and'"),
        ("Subendocardial scar in the septum, 20 % of the LV myocardium", "is no share of the wall's thickness"),
        ("Infarct of the septum with MVO, 15 %", "may belong to the obstruction or to the wall"),
        ("Septal scar, 1 to 100 % transmural", "too wide to read its middle"),
        ("Septal scar with transmural extent", "'transmural extent' needs a percentage"),
        ("Small, extensive transmural scar of the septum", "'small' and 'extensive' contradict each other"),
        ("Linear transmural scar of the septum", "'linear' and 'transmural' contradict each other"),
        ("Focal circumferential subendocardial scar", "'focal' and 'circumferential' contradict each other"),
        ("Subepicardial fibrosis at the RV insertion points", "more than one pattern is given (subepicardial and rv-insertion)"),
        ("full scar of the septum", "did you mean 'full thickness'?"),
        ("Transmural septal scar 12", "a number needs its field"),
        ("Transmural septal scar, -80 %", "cannot read '-', '80'"),
        ("Transmural septal scar, 87,5 %", "cannot read '87'"),
        ("Transmural septal scar, seed", "did you mean 'seed 12'?"),
        ("Transmural scar at the apex", "'apex' is the apical cap (segment 17)"),
        ("Transmural scar in segment 17", "no short-axis wall"),
        ("Transmural scar in segment 18", "segments must be AHA 1-16, got [18]"),
        ("Transmural scar in the apical inferoseptal wall", "did you mean 'apical septal'?"),
        ("Transmural scar in the apical anterolateral wall", "did you mean 'apical lateral'?"),
        ("Transmural scar in the basal segments 3 and 9", "segment 9 is mid, not basal"),
        ("Transmural scar in the basal inferior wall, mid", "unclear which wall 'mid' belongs to"),
        ("Mid-ventricular transmural scar of the basal inferior wall", "unclear which wall 'basal' belongs to"),
        ("Transmural scar from the septum to the lateral wall", "'to' joins two levels"),
        ("Transmural and mid-wall scar in the septum", "more than one pattern is given (transmural and mid-wall)"),
        ("Fibrosis at the RV insertion points and in the lateral wall", "both insertion points and walls"),
        ("No enhancement in the septum", "'no' is a negation"),
        ("Transmural scar, not septal", "'not' is a negation"),
        ("Transmural scar", "no wall is named; add one"),
        ("Transmural scar at the mid level", "no wall is named; add one"),
        ("Septal scar", "no pattern is named; add"),
        ("", "prescription is empty; write e.g."),
        (" , .\n", "prescription is empty; write e.g."),
        ("Subendocardial scar in the septum, 90 %", "at most 75 % of the wall, not 90%: that is transmural"),
        ("Transmural septal scar, 80 %, 90 %", "second transmural extent"),
        ("Transmural septal scar, seed 1, seed 2", "second seed"),
        ("Transmural septal scar, smooth border, border irregularity 50 %", "in a word and, differently, in a number"),
        ("Transmural septal scar, 50-26 %", "must rise"),
        ("Transmural septal scar, 120 %", "percentages are divided by 100 first"),
        ("Mid-wall septal scar with MVO", "microvascular obstruction belongs to infarcts"),
        ("Transmural septal scar between 130 and 130 degrees", "is empty"),
        ("Transmural septal scar between 130 and 500 degrees", "0 to 360"),
        ("Transmural septal scar, seed 9223372036854775808", "seed must be"),
        ("Transmural scar in segments 9-7", "backwards"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_sentence_and_the_way_out(text, complaint):
    with pytest.raises(PrescriptionError, match=re.escape(complaint)) as refusal:
        prescribe(text)
    assert str(refusal.value).endswith(f"(in {text!r})")
    assert "\n" not in str(refusal.value)


def test_all_problems_of_a_sentence_are_told_at_once():
    text = "Mild foo and subepicardial, transmurl scar, no MVO, without the apex, 50-20 %"
    with pytest.raises(PrescriptionError) as refusal:
        prescribe(text)
    message = str(refusal.value)
    assert message.startswith("5 problems: (1) cannot read 'foo', 'transmurl'; did you mean 'transmural'?; (2) ")
    for part in ("'without' is a negation", "'apex' is the apical cap", "a range of transmural extent must rise", "more than one pattern"):
        assert part in message
    assert "no wall is named" not in message  # the apex stands where the wall should be


def test_a_word_with_a_suggestion_is_read_as_suggested_when_the_rest_is_checked():
    with pytest.raises(PrescriptionError, match=r"^cannot read 'transmurl', 'latral'; did you mean 'transmural', 'lateral'\? \(in"):
        prescribe("Transmurl scar in the latral wall")


@pytest.mark.parametrize("flood", ["septal ", "segments 1,", "% ", "between 1 and ", "mid to ", "1-", "no "])
def test_text_without_end_is_refused_at_once(flood):
    start = time.process_time()  # of the processor, which a busy machine does not change
    with pytest.raises(PrescriptionError, match="at most 1000 characters"):
        prescribe(flood * 1_000_000)
    with pytest.raises(PrescriptionError):
        prescribe((flood * 1000)[:LONGEST_TEXT])
    assert time.process_time() - start < 0.2


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    st.text(max_size=80)
    | st.lists(st.sampled_from(["mid", "septal", "to", "of", "40", "%", "-", "transmural", "no", "9", "."])).map(" ".join)
)
def test_any_text_is_a_prescription_or_a_refusal(text):
    try:
        prescription = prescribe(text)
    except PrescriptionError:
        return
    assert prescribe(write_sentence(prescription)) == prescription
