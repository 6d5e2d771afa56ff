"""What is measured while the shop runs: InfluxDB points, Prometheus metrics, Grafana dashboards."""
