"""How long tasks run beside the kernel, and how what they find reaches a browser: jobs, throttled sending, threads that
pages hear, and a kernel that is made fit for all of them."""
