"""Shadow prices and the certificate that bounds how far a plan is from the best one."""
