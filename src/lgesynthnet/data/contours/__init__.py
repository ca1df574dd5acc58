"""Contours and masks of the heart as other programs write them: DICOM SEG, RTSTRUCT, cvi42, Segment and Sunnybrook text files."""
