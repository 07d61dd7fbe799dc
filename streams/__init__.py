"""The worker and its pure core: intake, case files, checks, findings; and the `ihwatch` command."""
