"""Past one machine: jobs of partitions, on processes of this machine, on Ray or on Spark.

index_job        images into an index
part_files       what a worker makes of a partition of images
spread_codes     codes assigned to centres
choosing         an executor by its name
ray_executor     actors of Ray
spark_executor   Python workers of Spark
"""
