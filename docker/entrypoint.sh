#!/usr/bin/env bash
# What Spark on Kubernetes calls: `driver …` and `executor`. Anything else is run as it stands.
# Every branch ends in exec: the exit code is the program's own.
set -euo pipefail

# numba takes what it finds compiled only from a folder that it could write to. Without it, it compiles.
kept=${NUMBA_CACHE_DIR:-}
if [ -n "$kept" ] && [ ! -e "$kept" ]; then
  { cp -r /opt/loops "$kept.$$" && mv -T "$kept.$$" "$kept"; } || echo "loops will be compiled anew: no room in $kept" >&2
fi

case "${1:-}" in
  driver)
    shift
    set -- "$SPARK_HOME/bin/spark-submit" \
      --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" --deploy-mode client "$@"
    ;;
  executor)
    # JVM options come as SPARK_JAVA_OPT_<n>, one a variable, and keep their order.
    options=()
    while read -r number; do
      variable=SPARK_JAVA_OPT_$number
      options+=("${!variable}")
    done < <(compgen -v | sed -n 's/^SPARK_JAVA_OPT_\([0-9]\{1,\}\)$/\1/p' | sort -n)
    set -- java "${options[@]}" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
      -cp "$SPARK_HOME/jars/*:${SPARK_CONF_DIR:-$SPARK_HOME/conf}" \
      org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
      --driver-url "$SPARK_DRIVER_URL" --executor-id "$SPARK_EXECUTOR_ID" --cores "$SPARK_EXECUTOR_CORES" \
      --app-id "$SPARK_APPLICATION_ID" --hostname "$SPARK_EXECUTOR_POD_IP" \
      --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
esac

# tini reaps what Spark's Python workers leave and passes signals on.
exec tini -s -- "$@"
