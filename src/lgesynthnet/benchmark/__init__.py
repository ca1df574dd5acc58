"""The two comparisons: the methods of the published table side by side, and the utility of their samples for training."""
