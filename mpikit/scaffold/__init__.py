"""New projects, written from templates: a plugin of one's own to begin with."""

from __future__ import annotations

from mpikit.scaffold.plugin import Kind, PluginProject, check_plugin_project, new_plugin

__all__ = ["Kind", "PluginProject", "check_plugin_project", "new_plugin"]
