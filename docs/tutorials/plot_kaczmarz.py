r"""
Kaczmarz, row by row
====================

Kaczmarz is the solver that most images in Magnetic Particle Imaging (MPI) are made with. It looks at one row
of the system matrix at a time. This page shows what a row does, what relaxation and the order of the rows
change, what the weight :math:`\lambda` adds, why a few sweeps are a regularisation of their own, and how
mpikit makes the same steps in blocks.

Letters: :math:`A` is the system matrix, of :math:`M` rows :math:`a_i` and :math:`P` columns, one for each
voxel. :math:`b` is the measured spectrum and :math:`x` the image. The settings of a whole reconstruction are
in :doc:`/explanation/reconstruction`.
"""

# %%
# What a row does
# ---------------
# A row is one equation, :math:`a_i \cdot x = b_i`. All images that fulfil it lie on a (hyper)plane. Kaczmarz
# goes from where it is to the nearest point of this plane:
#
# .. math:: x \leftarrow x + \omega\, \frac{b_i - a_i \cdot x}{\lVert a_i \rVert^2}\, \bar a_i ,
#           \qquad \omega = 1 .
#
# The bar is the complex conjugate. It stands in the step and not in the product :math:`a_i \cdot x`: to
# leave it out in the one, or to put it in the other, is the classic mistake with complex data. One pass over
# all rows is a *sweep*.
#
# *Relaxation* is an :math:`\omega` between 0 and 2 other than 1: a step that is too short, or too long, on
# purpose. *Order* is which row comes next. In the picture there are two unknowns and three equations, so the
# planes are lines. Two rows that are almost parallel hardly help each other. With the order changed so that
# neighbours differ, the same three rows get farther in a sweep.

import matplotlib.pyplot as plt
import numpy as np

angles = np.radians([60, 75, 130])
rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
solution = np.array([2.0, 1.0])


def steps(values, order, relaxation=1.0, sweeps=3):
    """Return the images after each row, from zero."""
    images = [np.zeros(2)]
    for row in list(order) * sweeps:
        x = images[-1]
        energy = rows[row] @ rows[row]
        images.append(x + relaxation * (values[row] - rows[row] @ x) / energy * rows[row])
    return np.array(images)


def draw(axes, values, images, title):
    """Draw the lines of the equations and the path of the image."""
    along = np.linspace(-4, 4, 2)
    for row, value in zip(rows, values, strict=True):
        foot, direction = value * row, np.array([-row[1], row[0]])
        axes.plot(*(foot[:, None] + direction[:, None] * along), "0.7", lw=1)
    axes.plot(*images.T, "C0.-", lw=1, ms=5)
    axes.plot(*solution, "k*", ms=10)
    axes.set(xlim=(-0.3, 3), ylim=(-0.3, 2.6), aspect="equal", xticks=(), yticks=())
    axes.set_title(title, fontsize="medium")


exact = rows @ solution
cases = {
    "rows as they come": ((0, 1, 2), 1.0),
    "another order": ((0, 2, 1), 1.0),
    "relaxation 0.5": ((0, 1, 2), 0.5),
    "relaxation 1.5": ((0, 1, 2), 1.5),
}
figure, panels = plt.subplots(1, 4, figsize=(10, 2.6), layout="constrained")
for panel, (name, (order, relaxation)) in zip(panels, cases.items(), strict=True):
    images = steps(exact, order, relaxation)
    draw(panel, exact, images, name)
    print(f"{name}: distance {np.linalg.norm(images[3] - solution):.2f} after one sweep")

# %%
# mpikit has no option for :math:`\omega`. Where the data are noisy the weight λ below does what relaxation is
# used for, and, other than relaxation, it has a limit that does not depend on the order.
#
# Data that contradict each other
# -------------------------------
# Measured equations have no common point. Then Kaczmarz never comes to rest: it ends in a cycle, and where it
# stops depends on the row that came last. Regularised Kaczmarz gives each equation a slack :math:`v_i`, which
# costs something. With :math:`\varepsilon = \sqrt\lambda`
#
# .. math::
#
#    \beta &= \frac{b_i - a_i \cdot x - \varepsilon v_i}{\lVert a_i \rVert^2 + \lambda}, \\
#    x &\leftarrow x + \beta\, \bar a_i, \qquad v_i \leftarrow v_i + \varepsilon \beta .
#
# This is plain Kaczmarz for the larger system :math:`[A\ \ \varepsilon I]\,[x; v] = b`. That system always
# has solutions, and from zero the iteration ends at the shortest one. This :math:`x` minimises
#
# .. math:: \lVert A x - b \rVert^2 + \lambda \lVert x \rVert^2 ,
#
# the Tikhonov solution. No factor ½ is hidden. ``kaczmarz`` returns it after enough sweeps, for any order.

from mpikit.reconstruct import kaczmarz_sweeps

measured = exact + np.array([0.35, -0.3, 0.3])
weight = 0.3  # absolute λ
tikhonov = np.linalg.solve(rows.T @ rows + weight * np.eye(2), rows.T @ measured)

figure, panels = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
images = steps(measured, (0, 1, 2), sweeps=30)
draw(panels[0], measured, images[-13:], "λ = 0: a cycle")
for color, order in (("C0", [0, 1, 2]), ("C1", [2, 0, 1])):
    settings = {"relative": False, "enforce_real": False, "enforce_positive": False, "iterations": 30}
    found = kaczmarz_sweeps(rows, measured[:, None], lambda_=weight, order=np.array(order), **settings)
    path = np.array([np.zeros(2), *(sweep.image[:, 0].real for sweep in found)])
    draw(panels[1], measured, path, f"λ = {weight}: two orders, one limit")
    panels[1].plot(*path.T, ".-", color=color, lw=1)
    print(f"order {order}: {np.linalg.norm(path[-1] - tikhonov):.0e} from the Tikhonov solution")
_ = panels[1].plot(*tikhonov, "C3x", ms=9, mew=2)

# %%
# The star is the truth, and the cross the Tikhonov solution. That one is shorter than the truth, for its
# length costs. Points are drawn after each row on the left, and after each sweep on the right.
#
# A relative λ
# ------------
# The same λ would mean something else for a scanner with another amplifier. So mpikit multiplies it by
# :math:`\lVert A \rVert_F^2 / P`, the mean energy of a column. Then a factor in scan *and* calibration
# cancels. Here is a system matrix of ``openmpi-2d``, and a smile with noise 25 dB below its signal.

from mdf import Grid
from mpikit.reconstruct import absolute_lambda, kaczmarz
from mpikit.simulate import Signals, make_phantom, preset, system_matrix

scanner = preset("openmpi-2d")
dose, size = scanner.calibration.concentration, (26, 26)
grid = Grid(np.array([*size, 1]), np.array([0.026, 0.026, 0.001]), np.zeros(3))
rng = np.random.default_rng(1)
truth = make_phantom("smile", grid, concentration=dose, count=1, rng=rng)
clean = Signals(scanner, grid).of(truth)[0, 0]  # (coils, samples), V
noisy = clean + np.std(clean) * 10 ** (-25 / 20) * rng.standard_normal(clean.shape)

lines = slice(53, 327)  # 80 to 500 kHz
calibration = np.fft.rfft(system_matrix(scanner, grid, concentration=dose)[:, 0])[..., lines]
matrix = calibration.reshape(len(calibration), -1).T  # (rows, voxels)
data = np.fft.rfft(noisy)[:, lines].reshape(-1, 1)
wanted = truth.images[0, 0].ravel() / dose

once = kaczmarz(matrix, data, lambda_=0.1)
louder = kaczmarz(1000 * matrix, 1000 * data, lambda_=0.1)
print(f"relative 0.1 is absolute {absolute_lambda(matrix, 0.1):.3g} here")
print(f"and {absolute_lambda(1000 * matrix, 0.1):.3g} for a signal that is 1000 times as large")
print(f"the images differ by {np.abs(louder - once).max() / once.max():.0e}")

# %%
# Few sweeps are a regularisation
# -------------------------------
# Write image and data in the singular vectors of :math:`A`. A pattern with a large singular value is strong
# in the data. Kaczmarz finds it in the first sweep. A pattern with a small one takes many sweeps, and comes
# with its noise magnified. So to stop early leaves the weak patterns out, as a larger λ does: the share of a
# pattern with singular value :math:`\sigma` in the Tikhonov solution is
# :math:`\sigma^2 / (\sigma^2 + \lambda)`.
#
# Left: this share, measured on data without noise, for a tiny λ (means over bands of 20 patterns). Right: the
# error of the image with noise. With a λ that is too small every sweep lets in more noise, and the first is
# the best. With one that suits the noise the error falls and stays, and one need not know where to stop.

_, singular, patterns = np.linalg.svd(matrix, full_matrices=False)
true_shares = patterns @ wanted
free = {"enforce_real": False, "enforce_positive": False, "iterations": 100}
without_noise = (matrix @ wanted)[:, None]
bands = np.arange(0, 400, 20)
seen = 10 * np.log10((singular / singular[0]) ** 2)


def band_mean(shares):
    """Average over bands of patterns, weighed by how strong they are in the truth."""
    energy = np.abs(true_shares) ** 2
    parts = [slice(start, start + 20) for start in bands]
    return [np.sum((shares * energy)[part]) / np.sum(energy[part]) for part in parts]


figure, (filters, errors) = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for state in kaczmarz_sweeps(matrix, without_noise, lambda_=1e-5, **free):
    if state.index in (1, 3, 10, 100):
        shares = (patterns @ state.image[:, 0] / true_shares).real
        filters.plot(seen[bands + 10], band_mean(shares), ".-", label=f"sweeps: {state.index}")
for relative in (0.1, 1.0):
    absolute = absolute_lambda(matrix, relative)
    filters.plot(seen[bands + 10], band_mean(singular**2 / (singular**2 + absolute)), "k:", lw=1)
filters.set(xlabel="σ² relative to the highest, dB", ylabel="share that is found", ylim=(-0.1, 1.2))
filters.invert_xaxis()
filters.legend(fontsize="small", title="dotted: Tikhonov, λ = 0.1, 1", title_fontsize="small")
for relative in (1e-3, 1e-2, 1e-1, 1.0):
    course = [
        np.linalg.norm(state.image[:, 0] - wanted) / np.linalg.norm(wanted)
        for state in kaczmarz_sweeps(matrix, data, lambda_=relative, iterations=100)
    ]
    errors.loglog(range(1, 101), course, label=f"λ = {relative:g}")
    best = np.argmin(course)
    print(f"λ = {relative:g}: error {course[best]:.2f} after {best + 1} sweeps, {course[-1]:.2f} after 100")
errors.set(xlabel="sweeps", ylabel="error of the image", ylim=(0.25, 4))
errors.set_yticks((0.3, 1, 3), ("0.3", "1", "3"))
errors.minorticks_off()
_ = errors.legend(fontsize="small")

# %%
# An image is therefore reproducible with λ, the number of sweeps *and* the order of the rows, or with λ
# alone if there were enough sweeps. The history of a file holds all three.
#
# The order, on real rows
# -----------------------
# Neighbouring lines of the spectrum can have similar rows, as the two almost parallel ones above. A random
# order (``row-order=random``) makes the first sweep a little better. Soon the two are alike, and the limit is
# the same. Where only one sweep is made, as for images while one measures, the order matters most.

figure, axes = plt.subplots(figsize=(6, 2.8), layout="constrained")
limit = kaczmarz(matrix, data, lambda_=0.1, iterations=500, enforce_positive=False)
for name, order in {"ascending frequency": None, "random": 7}.items():
    course = [
        np.linalg.norm(state.image - limit) / np.linalg.norm(limit)
        for state in kaczmarz_sweeps(
            matrix, data, lambda_=0.1, order=order, iterations=30, enforce_positive=False
        )
    ]
    axes.semilogy(range(1, 31), course, ".-", label=name)
    print(f"{name}: {course[0]:.2f} from the limit after one sweep")
axes.set(xlabel="sweeps", ylabel="distance to the limit", ylim=(0.03, 0.6))
axes.set_yticks((0.05, 0.1, 0.2, 0.5), ("0.05", "0.1", "0.2", "0.5"))
axes.minorticks_off()
_ = axes.legend(fontsize="small")

# %%
# Blocks of rows
# --------------
# One row after the other is slow: the matrix is read once for each frame, and a processor would rather
# multiply matrices. mpikit takes a block :math:`B` of rows at once, and all frames. The second row of a
# block must see what the first one has changed; that is a product of the two rows. All these products are
# the Gram matrix :math:`G = A_B A_B^H`. Its part below the diagonal, and the denominators on it, make a
# triangular system for all :math:`\beta` of the block:
#
# .. math:: \left( \operatorname{lower}(G) + \operatorname{diag}(\lVert a_i \rVert^2 + \lambda) \right) \beta
#           = b_B - A_B x - \varepsilon v_B .
#
# The iterates are *the same* as those of the loop over single rows, not an approximation, and the size of a
# block is no setting of the image:

by_row = kaczmarz(matrix, data, lambda_=0.1, block=1)
for block in (8, 64):
    blocked = kaczmarz(matrix, data, lambda_=0.1, block=block)
    print(f"{block} rows at once: differs by {np.abs(blocked - by_row).max() / by_row.max():.0e} of the peak")

# %%
# How much faster it is, is in :doc:`/explanation/speed`.
#
# Not negative
# ------------
# After each sweep voxels below zero are usually set to zero. It works well, and is what the field does. Its
# limit is not the best image without negative values, though. ``exact=true`` has a correction for that (Boyle
# and Dykstra), which takes many more sweeps:

corrected = kaczmarz(matrix, data, lambda_=0.1, exact=True, iterations=400)
usual = kaczmarz(matrix, data, lambda_=0.1, iterations=400)


def objective(image):
    """Return misfit and penalty of a real image, relative to the energy of the data."""
    misfit = np.linalg.norm(matrix @ image - data) ** 2
    return (misfit + absolute_lambda(matrix, 0.1) * np.linalg.norm(image) ** 2) / np.linalg.norm(data) ** 2


print(
    f"objective: {objective(usual):.4f} by the usual projection, {objective(corrected):.4f} by the exact one"
)

# %%
# Source: S. Kaczmarz, *Angenäherte Auflösung von Systemen linearer Gleichungen*, 1937.
#
# Next: try the settings on a scan in :doc:`/auto_tutorials/plot_reconstruction`, or read about rows, weights,
# background and the choice of λ in :doc:`/explanation/reconstruction`.
