"""Boxes of the figure: autoencoder, U-Net, control branch, text encoder, schedule. Torch begins here."""
