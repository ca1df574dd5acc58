"""What synthetic samples are worth: realism, alignment and utility, each with intervals and the real ceiling. Knows no generator."""
