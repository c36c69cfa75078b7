"""What the papers leave open, with what is done here, and what is wrong in print."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Choice:
    """One thing that a paper leaves open.

    Parameters
    ----------
    what : str
    paper : str
        What the paper says of it.
    ours : str
        What is done here: in the setting of the paper, and in ours where that is another.
    """

    what: str
    paper: str
    ours: str


PENG_CHOICES = (
    Choice(
        "length of the convolutions",
        "not stated",
        "paper: 3, the usual one; mpikit: 7, since with 3 the network sees a sixth of a period only",
    ),
    Choice(
        "first three layers of the network",
        "they turn 1 x N0 into C x N",
        "a convolution, dropout and PReLU; paper: stride 1, so that N = N0; mpikit: on fewer samples, "
        "which the lines above the noise allow",
    ),
    Choice(
        "9900 samples and four divisions by 3",
        "9900 is no multiple of 81",
        "the period is continued as it repeats to a multiple of 81, and cut again at the end",
    ),
    Choice(
        "down-sampling",
        "convolution of length 1, stride 3: it skips two samples of three",
        "paper: as stated; mpikit: length 3, so that no sample is skipped",
    ),
    Choice(
        "where the decoder joins the encoder",
        "the output of the corresponding block",
        "outputs of the first three blocks, and of the first layers; the last block is the bottom",
    ),
    Choice("features in deeper levels", "C = 48 is given once", "the same number in every level; mpikit: 24"),
    Choice("up-sampling", "by a factor of 3", "samples are repeated, and the convolutions smooth them"),
    Choice(
        "order in a block of the decoder",
        "up-sampling, two convolutions, PReLU",
        "as worded: joined, two convolutions, PReLU",
    ),
    Choice("last layer", "one up-sampling layer", "a convolution to one signal, with no activation"),
    Choice("parameter of PReLU", "not stated", "one a feature, 0.25 at the start"),
    Choice("dropout", "0.2, before each PReLU", "paper: of single values; mpikit: none"),
    Choice(
        "scale of the signals",
        "not stated; the noisy rows of Table II show a mean rms of 0.228",
        "each period is divided by the rms of the input, and so is its target; the output is multiplied "
        "by it",
    ),
    Choice(
        "bias of the convolutions",
        "not stated",
        "paper: with; mpikit: without, so that a signal twice as strong comes out twice as strong",
    ),
    Choice("which period is the input", "the first", "either, at random"),
    Choice(
        "noise",
        "two periods of each signal",
        "each signal has two noisy periods, which are drawn once and stay the same in all epochs",
    ),
    Choice(
        "which weights are kept",
        "1000 signals validate",
        "those with the least error on signals kept back, measured without clean data; a method keeps a "
        "fifth of its training signals back",
    ),
    Choice("what the network predicts", "the clean signal", "the clean signal, not the noise"),
    Choice(
        "start, weight decay, course of the step size",
        "AdamW, 1e-4",
        "Kaiming, 0.01; paper: constant; mpikit: one cycle up to 1e-3 and down",
    ),
    Choice(
        "sums or means in the loss",
        "sums are printed, and their weights depend on 9900 samples",
        "means, and differences of neighbouring samples",
    ),
    Choice(
        "definition of the signal-to-noise ratio",
        "a signal s(t) over sigma",
        "the rms of each signal over a period; only that gives the noisy rows of Table II",
    ),
    Choice(
        "interference",
        "a harmonic over a uniform gamma",
        "every line gets itself times 10^(-SIR/20) times a complex number, both parts uniform in -1 to "
        "1; drawn anew for each period",
    ),
    Choice(
        "drive field, field of view, receive channels of Table II",
        "frequencies and gradient alone",
        "4 mT on both axes, so that the field-free point covers 20 x 20 mm; one channel, along x",
    ),
    Choice(
        "which sequence of OpenMPIData (Table III)",
        "only the data set is named",
        "the 2-D one, with two receive channels, judged together",
    ),
    Choice(
        "x-space images",
        "only a reference",
        "signal over speed, samples slower than half the highest speed left out, 101 x 101 voxels "
        "filled linearly",
    ),
    Choice(
        "range of PSNR and SSIM",
        "not stated",
        "largest less smallest value of the clean image; no image is rescaled or clipped",
    ),
    Choice(
        "which noise figures 3 and 4 show",
        "not stated",
        "figure 3: Gaussian, 5 dB; figure 4: that of Table III",
    ),
)

PENG_MISPRINTS = (
    "Table I gives the saturation magnetisation as 4.77e-5; magnetite has 4.77e5 A/m.",
    "Equation 5 has the distance of the two noisy periods; the output of the network must stand for one "
    "of them, or there is nothing to learn.",
    "Equation 7 sums signed differences. Such a sum leaves a few samples at the ends and has no lower bound: "
    "magnitudes must be meant.",
    "Equations 2 and 3 divide a signal that depends on time by a number; the rms over the period is meant.",
    "Table IV has an SNR of 20.79 dB for the full loss, Table II has 20.97 dB for the same training; "
    "all other figures of the two lines are equal.",
    "Table II has 16.53 dB for Noise2Noise, Table IV has 18.97 dB for the same loss on the same noise: "
    "the two were not made with the same network or training, so that Table II does not show what the "
    "loss is worth.",
    "Table III has 4.86 dB for its noisy signals, Table II has 6.20 dB for the same two ratios; the "
    "definition of the interference that gives the second does not give the first.",
    "The PSNR of the noisy images falls by less than 5 dB for 5 dB more noise, though x-space images "
    "are linear in the signal: the images must have been rescaled or clipped.",
    "The text says that the gradient difference raises the SNR but lowers the RMSE, as if that were "
    "bad; what gets worse in Table IV are SSIM and PSNR.",
)

DAHMS_CHOICES = (
    Choice(
        "generator",
        "not stated",
        "paper: the bottleneck autoencoder of Dittmer et al., 16 numbers wide, 4 features; mpikit: the "
        "same, 32 wide with 24 features and no bias terms, so that it keeps amplitudes, and the U-Net for "
        "long periods",
    ),
    Choice(
        "critics",
        "two, of signals with noise and of noise; no sizes",
        "convolutions of length 7, each layer half as long; paper: 6 layers of 16 to 512 features; mpikit: 4 "
        "layers of 16 to 32",
    ),
    Choice(
        "spectral normalisation",
        "in place of the gradient penalty",
        "of every layer of both critics, one power iteration a pass after 50 at the start; it bounds a "
        "convolution up to a factor, so that values of critics of two trainings cannot be compared",
    ),
    Choice("loss", "Wasserstein", "Wasserstein with equal weights of both critics"),
    Choice(
        "how the values of the preset mpikit were found",
        "not applicable",
        "by single trainings on one simulated session, with six times the noise of this one",
    ),
    Choice(
        "optimiser",
        "not stated",
        "Adam; paper: 2e-4, decays 0.5 and 0.9, as in the code of Dittmer et al.; mpikit: 2e-3 for the "
        "generator and 4e-3 for the critics (1e-3 for both with the gradient penalty), decays 0 and 0.9, and "
        "a running average of the generator with a decay of 0.99",
    ),
    Choice(
        "steps",
        "not stated",
        "paper: 4000, in the scale full 40,000; mpikit: 800, in the scale full 1600; the state is kept that "
        "is best by periods kept back",
    ),
    Choice(
        "batch", "not stated", "paper: 8, as in that code; mpikit: 64, for a critic compares distributions"
    ),
    Choice(
        "updates of a critic for one of the generator",
        "not stated",
        "1, as in that code; also with the gradient penalty",
    ),
    Choice(
        "concentrations over four decades in one batch",
        "not stated",
        "as they are, in units of the noise; mpikit: the generator sees each period divided by its size, and "
        "both critics are told the logarithm of the amplitude",
    ),
    Choice(
        "noise samples",
        "measurements of the empty scanner, no background correction",
        "frames of the empty scanner as they are, drawn independently of what they are added to; never "
        "shifted in time, for the background is locked to the drive field",
    ),
    Choice(
        "gradient penalty, to compare with",
        "not part of the paper",
        "the same networks, one-sided, weight 10",
    ),
    Choice(
        "noise and background of the scanner",
        "measured, no figure",
        "simulated: white noise as large as the signal of 11 µg/mL in one period, and a background, locked "
        "in phase and drifting, as large as that of 3 µg/mL; with twice the noise not even who knows the "
        "clean signals would place the samples as the paper does",
    ),
    Choice(
        "ten periods in the reconstruction",
        "the FFT was calculated by using 10 periods",
        "ten denoised periods are averaged, which has the harmonics of ten that are joined; 'of the mean': "
        "ten periods are averaged and denoised once",
    ),
    Choice(
        "system matrix, rows of it, scale of λ",
        "not stated",
        "a simulated calibration of 27 places at ten times the highest concentration; frequencies above 80 "
        "kHz with a signal-to-noise ratio of 2 or more; λ relative to the mean power of the columns",
    ),
    Choice(
        "amplitude of the 5th harmonic (Figure 1)",
        "not stated whether magnitude or signed",
        "both: the projection on the phase of the signal, which averages to zero without tracer, and the "
        "magnitude, which does not",
    ),
    Choice(
        "sample at the centre (Figure 2)",
        "point samples at the centre",
        "the test sample next to it, at 1 mm: the ten test positions that are symmetric are the odd ones",
    ),
    Choice(
        "range of λ and sweeps (Figure 3)",
        "in a figure without numbers in the text",
        "λ from 0.01 to 10, 1 to 50 sweeps",
    ),
)

DAHMS_MISPRINTS = (
    "From -11 to 11 mm in steps of 1 mm there are 23 positions, and every second one makes 11 or 12; the "
    "text has 10 test positions. Here 11 even ones are trained, and the 10 odd ones between them are tested.",
    "10 test positions that are symmetric about the centre leave out the centre, where Figure 2 has its "
    "samples.",
    "Single periods are said to last 40 µs. With the frequency that this type of scanner has in public data, "
    "2.5 MHz by 102, they last 40.8 µs.",
)
