"""Export a run as a training set for another program. Every synthetic file is marked as synthetic. Imports no torch."""
