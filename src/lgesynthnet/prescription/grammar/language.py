"""Prescriptions in the wording of radiology reports.

`prescribe` reads a sentence, and `read_sentence` also says how words were read that could mean two things. `write_sentence` writes a
sentence that reads back as the same prescription, and `write_caption` the short form for the text encoder. `read_heart_sentence` and
`write_heart_sentence` do so for the scar of a whole heart. `list_words` lists what a sentence may hold. The words are in `vocabulary` and
`report_words`; `quantities` reads numbers, `statements` and `location` walls and levels, `attributes` the rest, and `hearts` what lies
between base and apex.
"""

from lgesynthnet.prescription.grammar.hearts import HeartReading, prescribe_heart, read_heart_sentence, write_heart_sentence
from lgesynthnet.prescription.grammar.listing import list_words
from lgesynthnet.prescription.grammar.parsing import LONGEST_TEXT, SentenceReading, prescribe, read_sentence
from lgesynthnet.prescription.grammar.vocabulary import every_report_word
from lgesynthnet.prescription.grammar.writing import NO_ENHANCEMENT, every_caption_word, write_caption, write_sentence

__all__ = [
    "LONGEST_TEXT",
    "NO_ENHANCEMENT",
    "HeartReading",
    "SentenceReading",
    "every_caption_word",
    "every_report_word",
    "list_words",
    "prescribe",
    "prescribe_heart",
    "read_heart_sentence",
    "read_sentence",
    "write_caption",
    "write_heart_sentence",
    "write_sentence",
]
