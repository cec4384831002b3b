"""Past one machine: jobs of partitions, on processes of this machine, on Ray or on Spark.

spread_job        what runs a job, and its folder of parts
index_job         images into an index
part_files        what a worker makes of a partition
in_order          partitions whose results count together
spread_points     points assigned to centres
partition_points  the same in a worker
spread_queries    queries of an evaluation ranked
choosing          an executor by its name
asked_executor    an executor by a configuration
ray_executor      actors of Ray
spark_executor    Python workers of Spark
"""
