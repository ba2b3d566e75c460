"""The local AWS: MiniStack with its gaps filled, and HAProxy as the data plane of its load balancers."""
