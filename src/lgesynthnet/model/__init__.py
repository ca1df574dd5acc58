"""The parts of the generator: autoencoder, U-Net, control branch, text encoder, noise schedule; and SPADE, the rival."""
