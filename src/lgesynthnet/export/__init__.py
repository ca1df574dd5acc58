"""Files that leave the program: every one of them says that it is synthetic. No torch."""
