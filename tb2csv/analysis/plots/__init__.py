"""Pictures of what is in a log directory, by matplotlib: ``pip install 'tb2csv[plot]'``; ``picture.plot`` draws one."""
