"""Prescriptions in the wording of radiology reports.

`prescribe` reads a sentence, `write_sentence` writes one that reads back as the same prescription, and `write_caption` writes
the short form for the text encoder. The words are in `vocabulary`; `quantities` reads numbers, `location` levels and walls.
"""

from lgesynthnet.prescription.grammar.parsing import LONGEST_TEXT, prescribe
from lgesynthnet.prescription.grammar.vocabulary import every_report_word
from lgesynthnet.prescription.grammar.writing import NO_ENHANCEMENT, every_caption_word, write_caption, write_sentence

__all__ = ["LONGEST_TEXT", "NO_ENHANCEMENT", "every_caption_word", "every_report_word", "prescribe", "write_caption", "write_sentence"]
