"""Past one machine: jobs of partitions, on processes of this machine, on Ray or on Spark.

choosing         an executor by its name
ray_executor     actors of Ray
spark_executor   Python workers of Spark
"""
