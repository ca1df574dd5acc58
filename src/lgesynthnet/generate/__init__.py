"""The generators: LGESynthNet, its rivals, and the compositing that all of them share."""
