


/device:CPU:0