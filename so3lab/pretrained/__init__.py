"""Where trained networks of others come from: SO3LR's published weights, and files of mlff and so3krates-torch."""
