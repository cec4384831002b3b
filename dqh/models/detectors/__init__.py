"""Networks that find objects in photos: a trunk with maps of several strides, and what stands on it."""
