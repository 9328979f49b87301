"""What `make doctor` looks at, a module for each part of a deployment. A check is one question and one finding."""
