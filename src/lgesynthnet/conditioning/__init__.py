"""What the generator is given: edges, hidden region, masked image, caption; and the form of what it gives back. No torch."""
