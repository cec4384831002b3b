"""Past one machine: jobs of partitions, on processes of this machine, on Ray or on Spark.

index_job        images into an index
part_files       what a worker makes of a partition
in_order         partitions whose results count together
spread_points    points assigned to centres
choosing         an executor by its name
ray_executor     actors of Ray
spark_executor   Python workers of Spark
"""
