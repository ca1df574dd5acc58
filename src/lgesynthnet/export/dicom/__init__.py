"""Export a run as DICOM: MR images and one segmentation for each sample. pydicom and highdicom are loaded inside functions."""
