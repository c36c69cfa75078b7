"""Reports: one HTML file that shows what files hold, and what denoising changed."""

from mpikit.report.report import Report, write_report

__all__ = ["Report", "write_report"]
