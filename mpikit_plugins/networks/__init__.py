"""Networks that learned methods share, each a module of its own.

The options can be imported without loading torch.
"""
