"""claimsformer: health-insurance claims in, decisions out; a transformer built on tensorlite and a processor of
claims."""
