"""What operators run, on AWS and on the stack of `make run` alike. Every program here stands behind a make target."""
