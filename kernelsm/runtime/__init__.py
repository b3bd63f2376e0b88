"""Jobs, the content-addressed store, threads and the error every bad input ends in."""
