"""The loop: find what a segmenter misses in patients that it has not seen, paint it, and train again, for as long as that helps."""
