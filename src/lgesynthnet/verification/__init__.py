"""Check the folders that the program wrote: every file, what they say of each other, and how to repair what is damaged."""
