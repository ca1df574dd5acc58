"""Find the image and the label file of each patient in a folder or a table. One module for each way in which files are kept."""
