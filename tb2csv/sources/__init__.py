"""Sources of bytes: the files of a log directory on a disk or in a store, listed and read in ranges of one version."""
