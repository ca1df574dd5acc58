"""What samples are worth to a segmenter: the experiment."""
