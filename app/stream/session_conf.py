"""What the stream sets in its Spark session."""

STATE_PACKAGE = "org.apache.spark.sql.execution.streaming.state"

#: Spark configuration of the stream, beside that of every session.
SPARK_CONFIGURATION = {
    "spark.sql.streaming.stateStore.providerClass": f"{STATE_PACKAGE}.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    # Spark looks through all of the state for what to evict, in every micro-batch: from memory (MB), as far as it can,
    # and in blocks of thirty sessions. RocksDB's own, of 4 KB, have one or two, and looking takes three times as long.
    "spark.sql.streaming.stateStore.rocksdb.blockCacheSizeMB": "64",
    "spark.sql.streaming.stateStore.rocksdb.blockSizeKB": "64",
    "spark.sql.streaming.metricsEnabled": "true",
    "spark.sql.streaming.minBatchesToRetain": "10",
    # Spark's ten minutes would keep sixty copies of all names of files, where files come every second, and it lists
    # them in every micro-batch. Those of the latest ten micro-batches stay in any case.
    "spark.sql.streaming.fileSource.log.cleanupDelay": "10s",
    # Killed amid its very first micro-batch, a stream leaves half a file there, and must start all the same.
    "spark.sql.streaming.verifyCheckpointDirectoryEmptyOnStart": "false",
    "spark.sql.streaming.noDataMicroBatches.enabled": "false",
    "spark.sql.adaptive.enabled": "false",  # micro-batches are small: planning costs more than it gains
    "spark.sql.files.openCostInBytes": "65536",  # files are small, and many: as few tasks as there are cores
    # The driver lists a micro-batch's files itself: a job for it would be of more tasks than there are cores for.
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "100000",
    # Rows are handed to Python when so many are there: the first are scored while Spark evicts and commits the state.
    "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
    # By TCP each task's first rows wait 40 ms: small writes are held back till the one before is acknowledged.
    "spark.python.unix.domain.socket.enabled": "true",
    "spark.python.daemon.module": "app.core.worker_daemon",
    # Projections are interpreted: to write the text of their code anew for each task takes longer than a file's rows.
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    # Spark's default asks `readlink`, two processes a file, before it renames a file of a checkpoint. That no second
    # writer comes is seen to by the lease, and each epoch has a checkpoint of its own.
    "spark.sql.streaming.checkpointFileManagerClass": (
        "org.apache.spark.sql.execution.streaming.checkpointing.FileSystemBasedCheckpointFileManager"
    ),
}
#: What a batch job in a stream's session needs otherwise.
FOR_BATCH = {"spark.sql.adaptive.enabled": "true", "spark.sql.codegen.factoryMode": "FALLBACK"}
