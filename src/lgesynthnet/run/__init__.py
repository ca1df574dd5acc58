"""The run folder: everything that one `synthesize` command wrote."""
