"""The report and the data card of a run."""
