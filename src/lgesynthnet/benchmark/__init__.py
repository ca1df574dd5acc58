"""The comparisons: painting as published, and utility."""
