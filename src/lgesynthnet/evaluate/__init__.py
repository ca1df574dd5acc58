"""What synthetic samples are worth: realism, alignment, utility, each with intervals and a real ceiling. Knows no generator."""
