"""Attention in the open: the weights of a forward pass, fused or not, and their gradients."""
