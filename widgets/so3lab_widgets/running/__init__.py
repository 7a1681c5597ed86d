"""How long tasks run beside the kernel, and how what they find reaches a browser: jobs and throttled sending."""
