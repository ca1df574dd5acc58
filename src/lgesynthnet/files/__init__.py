"""How the program writes into folders, and how it reads files that come from outside."""
