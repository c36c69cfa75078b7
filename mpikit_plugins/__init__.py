"""Denoisers and noise models that come with mpikit, offered like any stranger's."""
