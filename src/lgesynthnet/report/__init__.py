"""The report (HTML) and the data card (Markdown) of a run."""
