"""Export a run as DICOM: one MR image and one segmentation for each sample. pydicom and highdicom are loaded inside functions."""
