"""One module for each outside thing. A vendor's words end here."""
