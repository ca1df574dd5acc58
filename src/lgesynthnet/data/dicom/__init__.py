"""DICOM series of short-axis LGE: headers first, frames grouped into stacks by geometry, and the stored numbers of the chosen stack."""
