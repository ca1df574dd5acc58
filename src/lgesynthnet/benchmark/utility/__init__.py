"""The utility experiment: does a segmenter get better if synthetic slices are added to its training set?"""
