"""Rankings of a whole database on a device, with torch: what `dqh.index.ways` evaluate by, one file each."""
