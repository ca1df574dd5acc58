"""Patient files to stacks and back: folder layouts, NIfTI, label maps, checks of a whole folder, and splits by patient."""
