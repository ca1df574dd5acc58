"""Prescriptions in the wording of reports: `prescribe` reads a sentence, `write` makes one that reads back, `caption` is the short form.

The words are in `vocabulary`; `quantities` reads the numbers, `location` the levels and walls.
"""

from lgesynthnet.prescription.grammar.parsing import LONGEST_TEXT, prescribe
from lgesynthnet.prescription.grammar.vocabulary import every_report_word
from lgesynthnet.prescription.grammar.writing import NO_ENHANCEMENT, caption, every_caption_word, write

__all__ = ["LONGEST_TEXT", "NO_ENHANCEMENT", "caption", "every_caption_word", "every_report_word", "prescribe", "write"]
