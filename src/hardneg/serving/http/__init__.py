"""The live index over HTTP: requests are checked, put into batches and answered by one worker."""
